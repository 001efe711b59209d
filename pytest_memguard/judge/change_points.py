"""Finds where the level of a series of numbers changed for good.

The method is E-divisive (D. S. Matteson and N. A. James, "A Nonparametric Approach for Multiple
Change Point Analysis of Multivariate Data", Journal of the American Statistical Association
109, 2014). The best position to divide a series is the one with the largest energy distance
between its two sides. It is a change point if shuffled series rarely divide as well. The method
assumes no distribution of the numbers. Outliers are clipped first, to the range of the medians
of any three neighbours.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import accumulate, pairwise
from statistics import median
from typing import Final

from pytest_memguard.model.past_runs import (
    STEP_FLOOR_BYTES,
    STEP_LEAST_VALUES,
    STEP_SHARE,
    ChangePoint,
)

LEAST_LEVEL_VALUES: Final = 3
"""The least number of values of a level: one or two may be outliers."""
SHUFFLED_FROM_VALUES: Final = 12
"""From so many values on, series are shuffled: six and six can be chosen in 924 ways."""
PLAIN_GAP_FACTOR: Final = 2
"""A gap is obvious from so many times the range of either side on."""
SHUFFLES: Final = 399
STRAYS: Final = 1
"""How many shuffled series may divide as well as the real one: (1 + 1) of 400 are 0.5 %."""


def find_steps(
    values: Sequence[float], *, share: float = STEP_SHARE, floor: float = STEP_FLOOR_BYTES
) -> tuple[ChangePoint, ...]:
    """Find where a series moved to another level.

    Args:
        values: the values, in order, one for each commit.
        share: changes below this share of the level before are ignored.
        floor: changes below this are ignored.

    Returns:
        The change points, in order; always the same ones for the same values.
    """
    if not _may_have_changed(values, share, floor):
        return ()
    borders = [0, *_divide(_clipped(values), 0, random.Random(0)), len(values)]  # noqa: S311  the same in every run
    borders = _settled(values, borders)
    while len(borders) > 2:
        levels = [median(values[a:b]) for a, b in pairwise(borders)]
        changes = [
            abs(after - before) / max(share * before, floor, 1e-9)
            for before, after in pairwise(levels)
        ]
        least = min(range(len(changes)), key=changes.__getitem__)
        if changes[least] >= 1:
            return tuple(
                ChangePoint(at=border, before=before, after=after)
                for border, before, after in zip(borders[1:], levels, levels[1:], strict=False)
            )
        del borders[least + 1]
    return ()


def _may_have_changed(values: Sequence[float], share: float, floor: float) -> bool:
    """Return whether medians of three neighbours differ by enough: most series are flat."""
    if len(values) < STEP_LEAST_VALUES:
        return False
    middles = _middles(values)
    return max(middles) - min(middles) >= max(floor, share * min(middles))


def _middles(values: Sequence[float]) -> list[float]:
    """Return the medians of any three neighbours, which a single outlier cannot change much."""
    return [
        median(values[at : at + LEAST_LEVEL_VALUES])
        for at in range(len(values) - LEAST_LEVEL_VALUES + 1)
    ]


def _clipped(values: Sequence[float]) -> list[float]:
    middles = _middles(values)
    low, high = min(middles), max(middles)
    return [min(max(value, low), high) for value in values]


def _divide(values: Sequence[float], start: int, chance: random.Random) -> list[int]:
    """Return the change points within a part, as positions in the whole series."""
    if len(values) < STEP_LEAST_VALUES:
        return []
    gain, border = _best_border(values)
    if not (_is_obvious(values[:border], values[border:]) or _is_rare(values, gain, chance)):
        return []
    left = _divide(values[:border], start, chance)
    right = _divide(values[border:], start + border, chance)
    return [*left, start + border, *right]


def _is_obvious(left: Sequence[float], right: Sequence[float]) -> bool:
    """Return whether two sides are far apart, so that no shuffling is needed.

    Fewer than 0.5 % of the orders of twelve or more values separate the same values as well.
    """
    if min(len(left), len(right)) < STEP_LEAST_VALUES // 2:
        return False
    gap = max(min(right) - max(left), min(left) - max(right))
    return gap > PLAIN_GAP_FACTOR * max(max(left) - min(left), max(right) - min(right))


def _is_rare(values: Sequence[float], gain: float, chance: random.Random) -> bool:
    """Return whether shuffled series rarely divide as well."""
    if len(values) < SHUFFLED_FROM_VALUES:
        return False
    shuffled = list(values)
    as_good = 0
    for _ in range(SHUFFLES):
        chance.shuffle(shuffled)
        as_good += _best_border(shuffled)[0] >= gain
        if as_good > STRAYS:
            return False
    return True


def _best_border(values: Sequence[float]) -> tuple[float, int]:
    """Return the largest energy distance between two neighbouring parts, and where they meet.

    The first part begins with the series. The second may end before it: a level that returns to
    its former value would otherwise hide itself.
    """
    size = len(values)
    inner = _inner_distances(values)
    best, where = -1.0, LEAST_LEVEL_VALUES
    for border in range(LEAST_LEVEL_VALUES, size - LEAST_LEVEL_VALUES + 1):
        left = inner[border][0]
        left_mean = 2 * left / (border * (border - 1))
        for end in range(border + LEAST_LEVEL_VALUES, size + 1):
            ends = inner[end]
            right, count = ends[border], end - border
            across = ends[0] - left - right
            distance = (
                2 * across / (border * count) - left_mean - 2 * right / (count * (count - 1))
            )
            gain = distance * border * count / end
            if gain > best:
                best, where = gain, border
    return best, where


def _inner_distances(values: Sequence[float]) -> list[list[float]]:
    """Return the sums of all distances between two positions, by end and then by start."""
    sums: list[list[float]] = [[0.0]]
    for end, value in enumerate(values):
        to_it = list(accumulate(abs(value - other) for other in values[end::-1]))
        before = sums[-1]
        sums.append([*(old + new for old, new in zip(before, to_it[::-1], strict=True)), 0.0])
    return sums


def _settled(values: Sequence[float], borders: list[int]) -> list[int]:
    """Return the change points, each moved to where both sides are closest to their medians."""
    found = list(borders)
    for at in range(1, len(found) - 1):
        low, high = found[at - 1], found[at + 1]
        places = range(low + LEAST_LEVEL_VALUES, high - LEAST_LEVEL_VALUES + 1)
        found[at] = min(places, key=lambda here: _scatter(values, low, here, high))
    return found


def _scatter(values: Sequence[float], low: int, here: int, high: int) -> float:
    left, right = values[low:here], values[here:high]
    middle, other = median(left), median(right)
    return sum(abs(v - middle) for v in left) + sum(abs(v - other) for v in right)
