"""Tests of the share of a run's time that further measurements may take."""

from __future__ import annotations

import pytest

from pytest_memguard.clock import Clock
from pytest_memguard.measure.time_share import TimeShare


@pytest.mark.parametrize(
    ("apart", "spent", "allowed"),
    [
        pytest.param(False, 40.0, True, id="part-of-the-run"),
        pytest.param(True, 40.0, False, id="apart"),
        pytest.param(True, 15.0, True, id="apart-and-little"),
        pytest.param(False, 60.0, False, id="too-much"),
    ],
)
def test_half_of_a_hundred_seconds(monkeypatch, apart, spent, allowed) -> None:
    """Time that is left out of the run's time reduces the share."""
    now = 0.0
    monkeypatch.setattr(Clock, "seconds", lambda: now)
    share = TimeShare(0.5, 0.0, apart=apart)
    for _ in range(10):
        share.note(spent / 10)
    now = 100.0
    assert share.allows() is allowed
