"""Fixtures: a clock that objects take for the real one, and quick collections."""

from __future__ import annotations

import gc

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


@pytest.fixture(scope="module", autouse=True)
def quick_collections():
    """The garbage collector leaves what pytest has in memory alone: it is called often."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
