"""A fixture: a clock that objects take for the real one."""

from __future__ import annotations

import pytest

from pytest_memguard.clock import Clock
from tests.support.fakes import FakeClock


@pytest.fixture(autouse=True)
def clock(monkeypatch) -> FakeClock:
    """Time stands still until a test lets it pass; the processor is this thread's alone."""
    fake = FakeClock()
    monkeypatch.setattr(Clock, "seconds", staticmethod(fake))
    monkeypatch.setattr(Clock, "cpu", staticmethod(fake))
    return fake
