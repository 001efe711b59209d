"""Tests of what slack inside the process does to a peak by the kernel's mark."""

from __future__ import annotations

from math import inf

import pytest

from pytest_memguard.judge.peak_bounds import (
    HeldMemory,
    held_at_peak,
    higher,
    marked_peak,
    tracked_peak,
    with_foreign,
)
from pytest_memguard.judge.slack_thresholds import (
    RSS_RESOLUTION,
)
from pytest_memguard.model.measurements import Peak
from pytest_memguard.sizes import KIB, MIB


def test_marked_peak() -> None:
    """The truth lies between the mark and the mark plus the slack."""
    assert Peak(metric="rss", value=10, high=13, method="sampled") == marked_peak(
        10, 3, "sampled"
    )


def sampled(value: int, unseen: int | None) -> Peak:
    """A sampled peak, of which so much may have been missed."""
    return marked_peak(value, 0, "sampled", unseen=unseen)


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
    ("records", "held"),
    [
        pytest.param([], HeldMemory(small=0, large=0, waste=0), id="none"),
        pytest.param([(8192, 1)], HeldMemory(small=8192, large=0, waste=97), id="fits"),
        pytest.param([(8193, 1)], HeldMemory(small=0, large=8193, waste=97), id="does-not-fit"),
        pytest.param(
            [(16_385, 2)],
            HeldMemory(small=0, large=16_385, waste=195),
            id="does-not-fit-on-average",
        ),
        pytest.param(
            [(1_000_000, 1000)],
            HeldMemory(small=1_000_000, large=0, waste=26_000),
            id="many-small",
        ),
        pytest.param(
            [(1_000_000, 100)],
            HeldMemory(small=0, large=1_000_000, waste=11_600),
            id="many-large",
        ),
        pytest.param([(7, 0)], HeldMemory(small=0, large=7, waste=0), id="no-block"),
        pytest.param(
            [(5000, 10), (300_000, 1), (5000, 10)],
            HeldMemory(small=10_000, large=300_000, waste=3_436),
            id="sums",
        ),
    ],
)
def test_held_at_peak(records, held) -> None:
    """Blocks count as small where they fit into free places, each with some waste."""
    assert held == held_at_peak(records)


@pytest.mark.parametrize(
    ("rise", "slack", "held", "written", "value", "high", "method"),
    [
        pytest.param(0, 0, (0, 0, 0), 0, 0, 0, "kernel mark", id="nothing"),
        pytest.param(
            100 * MIB, 0, (0, 90 * MIB, MIB), 0, 100 * MIB, 100 * MIB, "kernel mark",
            id="the-mark-shows-more-than-was-requested",
        ),
        pytest.param(
            100 * MIB, 0, (0, 90 * MIB, MIB), 20 * MIB, 90 * MIB, 91 * MIB, "kernel mark",
            id="the-rest-is-the-trackers-own",
        ),
        pytest.param(
            100 * MIB, 0, (0, 70 * MIB, MIB), 999 * MIB, 84 * MIB, 84 * MIB, "kernel mark",
            id="the-tracker-has-sixteen-at-once",
        ),
        pytest.param(
            3 * MIB, 0, (MIB, 0, 0), 9 * MIB, MIB, MIB, "kernel mark",
            id="the-tracker-alone-is-more-than-the-mark",
        ),
        pytest.param(
            0, 500 * MIB, (90 * MIB, 0, 4 * MIB), 0, 90 * MIB, 94 * MIB, "memray estimate",
            id="hidden-in-the-slack",
        ),
        pytest.param(
            10 * MIB, 40 * MIB, (90 * MIB, 0, MIB), 0, 50 * MIB, 50 * MIB, "memray estimate",
            id="the-slack-is-not-that-large",
        ),
        pytest.param(
            10 * MIB, 21 * MIB, (30 * MIB, 0, 9 * MIB), 0, 30 * MIB, 31 * MIB,
            "memray estimate",
            id="waste-within-mark-and-slack",
        ),
        pytest.param(
            10 * MIB, 500 * MIB, (0, 90 * MIB, MIB), 0, 10 * MIB, 11 * MIB, "kernel mark",
            id="large-blocks-never-touched",
        ),
        pytest.param(
            50 * MIB, 500 * MIB, (20 * MIB, 50 * MIB, MIB), 0, 70 * MIB, 71 * MIB,
            "memray estimate",
            id="large-ones-show-and-small-ones-hide",
        ),
        pytest.param(
            10 * MIB, 500 * MIB, (20 * MIB, 50 * MIB, 0), 0, 20 * MIB, 30 * MIB,
            "memray estimate",
            id="large-ones-untouched-and-small-ones-hide",
        ),
        pytest.param(
            10 * MIB, 500 * MIB, (10 * MIB + RSS_RESOLUTION, 0, 0),
            0, 10 * MIB, 10 * MIB + RSS_RESOLUTION,
            "kernel mark",
            id="within-the-resolution",
        ),
        pytest.param(
            10 * MIB, 500 * MIB, (10 * MIB + RSS_RESOLUTION + 1, 0, 0),
            0, 10 * MIB + RSS_RESOLUTION + 1,
            10 * MIB + RSS_RESOLUTION + 1, "memray estimate",
            id="a-byte-above-the-resolution",
        ),
        pytest.param(
            10 * MIB, RSS_RESOLUTION, (10 * MIB, 0, MIB), 0, 10 * MIB, 10 * MIB, "kernel mark",
            id="slack-within-the-resolution-is-none",
        ),
        pytest.param(
            10 * MIB, 100 * KIB, (10 * MIB, 0, MIB), 0, 10 * MIB, 10 * MIB, "kernel mark",
            id="slack-below-the-resolution-is-none",
        ),
        pytest.param(
            10 * MIB, 500 * MIB, (5 * MIB, 10 * MIB + RSS_RESOLUTION, 0),
            0, 15 * MIB + RSS_RESOLUTION,
            15 * MIB + RSS_RESOLUTION, "memray estimate",
            id="the-mark-rose-for-all-large-ones-within-the-resolution",
        ),
        pytest.param(
            10 * MIB, 500 * MIB, (5 * MIB, 10 * MIB + RSS_RESOLUTION + 1, 0),
            0, 10 * MIB, 15 * MIB,
            "kernel mark",
            id="the-mark-did-not-rise-for-all-large-ones",
        ),
    ],
)  # fmt: skip
def test_tracked_peak(rise, slack, held, written, value, high, method) -> None:
    """Hidden small blocks are added to the mark, and the tracker's own file is taken off."""
    small, large, waste = held
    assert Peak(metric="rss", value=value, high=high, method=method) == tracked_peak(
        rise, slack, HeldMemory(small=small, large=large, waste=waste), written
    )


def test_large_blocks_in_the_slack() -> None:
    """Slack that large blocks fit into may hide them: it raises the bound, not the value."""
    held = HeldMemory(small=20 * MIB, large=50 * MIB, waste=0)
    assert Peak(
        metric="rss", value=20 * MIB, high=60 * MIB, method="memray estimate"
    ) == tracked_peak(10 * MIB, 500 * MIB, held, 0, 30 * MIB)


@pytest.mark.parametrize(
    ("held", "value", "high"),
    [
        pytest.param(
            HeldMemory(small=0, large=9 * MIB, waste=0), 5, 9, id="large-may-be-untouched"
        ),
        pytest.param(
            HeldMemory(small=9 * MIB, large=0, waste=0), 9, 9, id="small-were-touched"
        ),
        pytest.param(
            HeldMemory(small=MIB, large=0, waste=0), 5, 5, id="rise-of-something-else"
        ),
    ],
)
@pytest.mark.parametrize("missed", [60 * MIB, inf])
def test_memray_bounds_what_sampling_missed(held, value, high, missed) -> None:
    """The peak by memray bounds a sampled peak, and small blocks are part of it."""
    peak = tracked_peak(5 * MIB, missed, held, 0, missed, "sampled")
    assert (value * MIB, high * MIB, 0) == (peak.value, peak.high, peak.unseen)


@pytest.mark.parametrize("rise", [0, 10 * MIB, 300 * MIB])
@pytest.mark.parametrize("slack", [0, MIB, 100 * MIB])
@pytest.mark.parametrize("small", [0, 9 * MIB, 200 * MIB])
@pytest.mark.parametrize("large", [0, 9 * MIB, 200 * MIB])
@pytest.mark.parametrize("written", [0, MIB, 100 * MIB])
def test_tracked_peak_stays_in_its_bounds(rise, slack, small, large, written) -> None:
    """The truth is sought between the mark without the tracker and the mark with the slack."""
    marked = marked_peak(rise, slack, "kernel mark")
    held = HeldMemory(small=small, large=large, waste=MIB)
    tracked = tracked_peak(rise, slack, held, written, anywhere=slack // 2)
    lowest = max(0, marked.value - min(written, 16 * MIB))
    assert lowest <= tracked.value <= tracked.high <= marked.high


@pytest.mark.parametrize(
    ("peak", "size", "high", "bound"),
    [
        pytest.param(marked_peak(10, 3, "sampled"), 0, 13, "slack", id="none"),
        pytest.param(marked_peak(10, 3, "sampled"), 5, 18, "foreign", id="most-of-the-doubt"),
        pytest.param(marked_peak(10, 9, "sampled"), 5, 24, "slack", id="less-of-the-doubt"),
    ],
)
def test_with_foreign(peak, size, high, bound) -> None:
    """Slack of other allocators adds to what the instruments leave open."""
    found = with_foreign(peak, size)
    assert (found.value, found.high, found.bound) == (10, high, bound)
