"""Tests of when garbage is collected around a test, and what counts as garbage."""

from __future__ import annotations

import gc
from types import SimpleNamespace

import pytest

from pytest_memguard.recording.instruments import Instruments

COST = 0.01
TOLERANCE = 1000


@pytest.fixture
def instruments(monkeypatch, clock):
    """Instruments with a level set by hand; a collection takes a hundredth of a second."""
    made = Instruments()
    made.resident = SimpleNamespace(level=lambda: made.now)
    made.now = 50_000
    made.collections = 0

    def collect() -> None:
        made.collections += 1
        clock.advance(COST)

    monkeypatch.setattr(gc, "collect", collect)
    made._now = 0.0
    assert made.collect_if_grown(50_000, TOLERANCE)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("level", "seconds", "at_once", "collected"),
    [
        pytest.param(51_000, 9, False, False, id="tolerable"),
        pytest.param(51_001, 9, False, True, id="more"),
        pytest.param(51_001, 1, False, False, id="more-but-too-soon"),
        pytest.param(55_001, 1, False, True, id="too-soon-but-much"),
        pytest.param(51_001, 0, True, True, id="time-does-not-matter"),
        pytest.param(51_000, 0, True, False, id="tolerable-whatever-the-time"),
    ],
)
def test_collects(instruments, clock, level, seconds, at_once, collected) -> None:
    """Garbage is collected for a small share of the time, or when there may be much."""
    clock.advance(seconds)
    assert collected is instruments.collect_if_grown(level, TOLERANCE, at_once=at_once)
    assert instruments.collections == 1 + collected


def test_what_measuring_takes_is_no_garbage(instruments) -> None:
    """Bytes by which measuring made the process larger do not count."""
    instruments.grown_by_us(5000)
    assert instruments.garbage_bound(55_300) == 300
    assert not instruments.collect_if_grown(56_000, TOLERANCE, at_once=True)
    assert instruments.collect_if_grown(56_001, TOLERANCE, at_once=True)
