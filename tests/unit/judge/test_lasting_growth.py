"""Tests of what lasting growth is: straight, not fading, and on new ground."""

from __future__ import annotations

import math
from itertools import combinations

import pytest

from pytest_memguard.judge.lasting_growth import (
    _is_new_ground,
    _is_straight,
    fades,
)
from pytest_memguard.judge.rounds import latest
from pytest_memguard.judge.slopes import growth_of
from tests.support.leak_rounds import a_round, series


def straight(*changes: int) -> bool:
    """Whether rounds of 30 blocks are straight but for these changes from the third on."""
    moved = [30] * 11
    for at, by in enumerate(changes, 2):
        moved[at] += by
    return _is_straight(series(*moved, 500), "blocks")


def concordance(rates) -> int:
    """Kendall's sum: pairs that rise less pairs that fall."""
    return sum((b > a) - (b < a) for a, b in combinations(rates, 2))


def seem_to_fade(moved) -> bool:
    """Whether rounds of three calls in which so much stayed fade."""
    rounds = series(*moved)
    return fades(rounds, growth_of(latest(rounds), "blocks"))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param((), True, id="even"),
        pytest.param((0, 12, -12), True, id="above-by-as-much-as-may-be"),
        pytest.param((0, 13, -13), False, id="above-by-more"),
        pytest.param((0, -12, 12), True, id="below-by-as-much-as-may-be"),
        pytest.param((0, -13, 13), False, id="below-by-more"),
        pytest.param((0, 0, 0, 0, 0, 12, -12), True, id="late"),
        pytest.param((0, 0, 0, 0, 0, 13, -13), False, id="late-and-by-more"),
    ],
)
def test_straight(changes, expected) -> None:
    """No level is off the line by more than 0.4 of a round's growth; the last is left out."""
    assert expected is straight(*changes)


@pytest.mark.parametrize(
    ("moved", "expected"),
    [
        pytest.param([10] * 10, True, id="all-new"),
        pytest.param([50, -50, *[10] * 10], True, id="half-of-it"),
        pytest.param([51, -51, *[10] * 10], False, id="less-than-half"),
        pytest.param([-90, 0, *[10] * 10], False, id="back-to-where-it-was"),
        pytest.param([-50, 0, *[10] * 10], True, id="half-of-it-beyond-where-it-was"),
        pytest.param([7, 50, -50, *[10] * 10], True, id="from-a-higher-level"),
        pytest.param([7, 51, -51, *[10] * 10], False, id="less-from-a-higher-level"),
    ],
)
def test_new_ground(moved, expected) -> None:
    """At least half of the latest growth lies above all levels from before it."""
    rounds = series(*moved)
    assert expected is _is_new_ground(rounds, growth_of(latest(rounds), "blocks"))


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        pytest.param([6, 5, 4, 3, 2, 7, 1], -11, id="seven"),
        pytest.param([6, 5, 4, 3, 2, 1, 7], -9, id="seven-by-chance"),
        pytest.param([8, 7, 6, 5, 9, 4, 3, 2, 1, 10], -19, id="ten"),
        pytest.param([8, 7, 6, 5, 4, 9, 3, 2, 1, 10], -17, id="ten-by-chance"),
        pytest.param([10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 11, 12], -24, id="twelve"),
        pytest.param([9, 10, 8, 7, 6, 5, 4, 3, 2, 1, 11, 12], -22, id="twelve-by-chance"),
        pytest.param([7, 9, 9, 5, 2, 8, 4, 7, 6, 1], -19, id="two-ties"),
        pytest.param([7, 5, 8, 6, 4, 2, 1, 3, 9, 1], -18, id="a-tie-and-by-chance"),
    ],
)
def test_seems_to_fade(rates, expected) -> None:
    """A rate seems to fall if chance orders the rounds like that once in 20 times."""
    count = len(rates)
    limit = 1.64 * math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    assert expected == concordance(rates)
    assert (expected <= -limit) is seem_to_fade(rates)


def test_longer_rounds_fade_by_the_call() -> None:
    """Rounds in which more stays fade all the same if it is less per call."""
    sizes = (3, 3, 3, 6, 6, 6, 9, 9, 9, 12)
    rounds = [a_round(n, blocks=n * (100 - 5 * at)) for at, n in enumerate(sizes)]
    assert fades(rounds, growth_of(latest(rounds), "blocks"))


@pytest.mark.parametrize(
    ("apart", "expected"),
    [
        pytest.param(0, False, id="even"),
        pytest.param(387, False, id="hardly-uneven"),
        pytest.param(390, True, id="too-uneven-to-be-sure"),
        pytest.param(480, True, id="uneven"),
    ],
)
def test_surely_stopped_fading(apart, expected) -> None:
    """A rate that seems to fall is not said to fade if it surely keeps four fifths."""
    scatter = (apart, -apart, 0, -apart, apart)
    rates = [10_000 + by for by in scatter] + [9000 + by for by in scatter]
    assert expected is seem_to_fade([3 * rate for rate in rates])


def test_four_fifths_are_enough() -> None:
    """A rate that fell to exactly four fifths and stays there does not fade, one below does."""
    assert not seem_to_fade([30_000] * 5 + [24_000] * 5)
    assert seem_to_fade([30_000] * 5 + [23_999] * 5)
