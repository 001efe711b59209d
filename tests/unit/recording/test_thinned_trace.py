"""Samples are kept in a bounded number of rows, whose means stay right."""

from __future__ import annotations

import pytest

from pytest_memguard.recording.thinned_trace import ThinnedTrace
from pytest_memguard.watch_levels import SIGNALS, Levels, levels_of


def filled(count, most=100, lives=lambda _: 0):
    """A trace of a level that rises by one with each sample."""
    trace = ThinnedTrace(most)
    for number in range(count):
        levels = levels_of(dict.fromkeys(SIGNALS, number))
        trace.add(float(number), lives(number), number / 2, levels)
    return trace.trace()


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 199, 1_000, 12_345])
def test_rows_are_bounded(count) -> None:
    """There are never more rows than allowed; the last one has the latest sample in it."""
    found = filled(count)
    assert len(found.seconds) <= 101
    assert min(count, 50) <= len(found.seconds)
    for values in (found.seconds, found.levels["rss"], found.levels["children"]):
        assert list(values) == sorted(values)
        assert not count or values[-1] >= count - 1 - count // 50


def test_means_of_neighbours() -> None:
    """A row is the mean of its samples, in time and in level."""
    found = filled(100)
    assert found.seconds[:3] == (0.5, 2.5, 4.5)
    assert found.levels["rss"] == found.seconds
    assert found.cpu[:2] == (0.25, 1.25)


def test_lives_are_not_mixed() -> None:
    """No row has samples of two processes."""
    found = filled(1_000, lives=lambda number: number // 143)
    assert [*range(7)] == sorted(set(found.lives))
    for life in range(7):
        points = found.points("rss", life, 0, 1e9)
        assert all(143 * life <= level < 143 * (life + 1) for _, level in points)
        assert all(abs(at - level) < 0.01 for at, level in points)


def test_unread_signals() -> None:
    """A signal that could not be read is absent, and counts for nothing in a mean."""
    trace = ThinnedTrace(4)
    for number in range(8):
        rss = number * 10 if number % 2 else None
        trace.add(number, 0, 0, levels_of({"rss": rss}))
    found = trace.trace()
    assert all(value is None for value in found.levels["fds"])
    assert all(value is not None for value in found.levels["rss"][:2])
    assert len(found.seconds) == len(found.levels["rss"])


def test_levels_by_name() -> None:
    """Levels can be had one by one and in order."""
    levels = Levels()
    assert [None] * len(SIGNALS) == list(levels)
    assert levels_of({"rss": 1 << 20, "fds": 3}).of("rss") == "1 MB"
