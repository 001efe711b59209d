"""Tests of budgets against peaks that were sampled: kept for certain, broken, or in between."""

from __future__ import annotations

from math import inf

import pytest

from pytest_memguard.judge.budget import judge
from pytest_memguard.judge.room import Held, higher, tracked_peak
from pytest_memguard.model import Budget, Peak
from pytest_memguard.units import MIB

LIMIT = 20 * MIB


def sampled(value: int, unseen: int | None, high: int = 0, method="sampled") -> Peak:
    """A peak of which so much may have been missed."""
    return Peak(metric="rss", value=value, high=max(value, high), method=method, unseen=unseen)


@pytest.mark.parametrize(
    ("peak", "warn", "rule"),
    [
        pytest.param(sampled(LIMIT + 1, None), None, "over-budget", id="surely-over"),
        pytest.param(sampled(1, LIMIT - 1), None, None, id="surely-within"),
        pytest.param(sampled(1, LIMIT), None, "undecided", id="perhaps-over"),
        pytest.param(sampled(1, None), None, "undecided", id="nothing-bounds-it"),
        pytest.param(sampled(1, 5, LIMIT - 5), None, None, id="within-with-room"),
        pytest.param(sampled(1, 5, LIMIT), None, "undecided", id="room-and-missed"),
        pytest.param(sampled(LIMIT - 1, None), 0.5, "near-budget", id="close-comes-first"),
        pytest.param(sampled(1, 2), 0.5, None, id="surely-not-close"),
    ],
)
def test_three_ways(peak, warn, rule) -> None:
    """A budget is broken or kept for certain, or the finding says that it is not known."""
    found = judge(Budget(limit=LIMIT, where="the marker", warn=warn), peak)
    assert rule == (None if found is None else found.rule)


@pytest.mark.parametrize(
    ("peak", "text"),
    [
        pytest.param(
            sampled(5 * MIB, 60 * MIB),
            "peak RSS was sampled, 5.0 MiB at the highest, within the budget of 20.0 MiB set "
            "by the marker; the process's lifetime high-water mark allows up to 65.0 MiB, so "
            "a short peak above the budget may have been missed",
            id="bounded",
        ),
        pytest.param(
            sampled(5 * MIB, None),
            "peak RSS was sampled, 5.0 MiB at the highest, within the budget of 20.0 MiB set "
            "by the marker; nothing bounds what lasted less, so a short peak above the "
            "budget may have been missed",
            id="unbounded",
        ),
        pytest.param(
            sampled(30 * MIB, 9 * MIB, method="kernel mark"),
            "peak RSS 30.0 MiB or more is 10.0 MiB over the budget of 20.0 MiB set by the "
            "marker",
            id="at-least",
        ),
    ],
)
def test_text(peak, text) -> None:
    """The sentence says how the number was obtained, and what it may have missed."""
    found = judge(Budget(limit=LIMIT, where="the marker"), peak)
    assert found is not None
    assert text == found.text


@pytest.mark.parametrize(
    ("one", "other", "value", "high", "ceiling"),
    [
        pytest.param(sampled(5, 3), sampled(2, 9), 5, 5, 11, id="bound-of-the-lower"),
        pytest.param(sampled(5, 3), sampled(7, 0), 7, 7, 8, id="bound-of-the-first"),
        pytest.param(sampled(5, None), sampled(7, 0), 7, 7, inf, id="one-has-none"),
        pytest.param(None, sampled(7, 2), 7, 7, 9, id="the-only-one"),
    ],
)
def test_higher(one, other, value, high, ceiling) -> None:
    """Of two runs the higher number counts, and the higher of their bounds."""
    peak = higher(one, other)
    assert (value, high, ceiling) == (peak.value, peak.high, peak.ceiling)


@pytest.mark.parametrize(
    ("held", "value", "high"),
    [
        pytest.param(Held(small=0, large=9 * MIB, waste=0), 5, 9, id="large-may-be-untouched"),
        pytest.param(Held(small=9 * MIB, large=0, waste=0), 9, 9, id="small-were-touched"),
        pytest.param(Held(small=MIB, large=0, waste=0), 5, 5, id="rise-of-something-else"),
    ],
)
@pytest.mark.parametrize("missed", [60 * MIB, inf])
def test_memray_bounds_what_sampling_missed(held, value, high, missed) -> None:
    """What memray counted bounds a sampled peak, and small blocks are part of it."""
    peak = tracked_peak(5 * MIB, missed, held, 0, missed, "sampled")
    assert (value * MIB, high * MIB, 0) == (peak.value, peak.high, peak.unseen)
