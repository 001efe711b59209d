"""Tests of when garbage is collected around a test, and what counts as garbage."""

from __future__ import annotations

import gc
from itertools import pairwise
from types import SimpleNamespace

import pytest

from pytest_memguard.measure.instruments import Instruments

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
    assert made.collect_if_grown(50_000, TOLERANCE)
    made.urgent_factor = 5
    yield made
    made.close()


@pytest.mark.parametrize(
    ("level", "seconds", "often", "collected"),
    [
        pytest.param(51_000, 9, False, False, id="tolerable"),
        pytest.param(51_001, 9, False, True, id="more"),
        pytest.param(51_001, 1, False, False, id="more-but-too-soon"),
        pytest.param(55_001, 1, False, True, id="too-soon-but-much"),
        pytest.param(51_001, 5.1 * COST, True, True, id="soon-enough-if-often"),
        pytest.param(51_001, 4.9 * COST, True, False, id="too-soon-if-often"),
        pytest.param(51_000, 9, True, False, id="tolerable-whatever-the-time"),
    ],
)
def test_collects(instruments, clock, level, seconds, often, collected) -> None:
    """Garbage is collected for a small share of the time, or when there may be much."""
    clock.advance(seconds)
    assert collected is instruments.collect_if_grown(level, TOLERANCE, often=often)
    assert instruments.collections == 1 + collected


def test_a_process_that_grows(instruments) -> None:
    """Where collections find no garbage there has to be more of it; where one does, less."""
    grown = []
    for level in range(50_000, 200_000, 100):
        instruments.now = level
        if instruments.collect_if_grown(level, TOLERANCE):
            grown.append(level)
    assert [later - before for before, later in pairwise(grown)] == [10_100, *[20_100] * 6]
    instruments.now = 100_000
    assert instruments.collect_if_grown(220_000, TOLERANCE)
    assert instruments.collect_if_grown(105_100, TOLERANCE)


def test_what_measuring_takes_is_no_garbage(instruments, clock) -> None:
    """Bytes by which measuring made the process larger do not count."""
    clock.advance(1)
    instruments.grown_by_us(5000)
    assert instruments.clean_level == 55_000
    assert not instruments.collect_if_grown(56_000, TOLERANCE, often=True)
    assert instruments.collect_if_grown(56_001, TOLERANCE, often=True)
