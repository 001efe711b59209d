"""Tests of where levels step: series a person would judge the same."""

from __future__ import annotations

import random

import pytest

from pytest_memguard.judge.change_points import (
    _best_border,
    _clipped,
    _is_obvious,
    _is_rare,
    _may_have_changed,
    _settled,
    find_steps,
)
from pytest_memguard.sizes import MIB

FLAT = [20.1, 20.0, 20.2, 20.0, 20.1, 20.1, 20.0, 20.2, 20.1, 20.0, 20.1, 20.2]
UP = [value + 5 for value in FLAT]


def steps_of(series) -> list[tuple[int, float, float]]:
    """Where a series of MiB steps, from which level to which."""
    found = find_steps([value * MIB for value in series])
    return [
        (step.at, round(step.before / MIB, 1), round(step.after / MIB, 1)) for step in found
    ]


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([20, 40], [], id="two"),
        pytest.param([20, 20, 20, 40, 40, 40, 40], [], id="seven-are-too-few"),
        pytest.param([20] * 4 + [40] * 4, [(4, 20, 40)], id="eight-that-are-plain"),
        pytest.param([40] * 4 + [20] * 5, [(4, 40, 20)], id="down"),
        pytest.param([20, 24, 21, 23, 30, 26, 29, 25], [], id="eight-that-are-not"),
        pytest.param([0] * 5 + [8] * 5, [(5, 0, 8)], id="from-nothing"),
        pytest.param([0] * 20, [], id="all-zero"),
        pytest.param(FLAT, [], id="flat"),
        pytest.param(FLAT + UP, [(12, 20.1, 25.1)], id="a-step"),
        pytest.param(FLAT + UP + FLAT, [(12, 20.1, 25.1), (24, 25.1, 20.1)], id="up-and-down"),
        pytest.param(
            FLAT + UP + [v + 9 for v in FLAT],
            [(12, 20.1, 25.1), (24, 25.1, 29.1)],
            id="two-steps",
        ),
        pytest.param([*FLAT, *FLAT, *UP[:4]], [(24, 20.1, 25.1)], id="four-after"),
        pytest.param([*FLAT, *FLAT, *UP[:2]], [], id="two-after-may-be-strays"),
        pytest.param([*FLAT, 90, *FLAT], [], id="a-stray"),
        pytest.param([*FLAT, 90, *FLAT, 2, *FLAT], [], id="strays"),
        pytest.param(
            [*FLAT[:6], 90, *FLAT[6:], *UP[:5], 1, *UP[5:]],
            [(13, 20.1, 25.1)],
            id="a-step-among-strays",
        ),
        pytest.param([v + 0.9 * (at >= 6) for at, v in enumerate(FLAT)], [], id="below-a-MiB"),
        pytest.param([200 + 9 * (at >= 6) for at in range(12)], [], id="below-five-percent"),
        pytest.param([0.1] * 9 + [0.5] * 9, [], id="five-times-very-little"),
        pytest.param([20, 30] * 12, [], id="to-and-fro"),
    ],
)
def test_steps(series, expected) -> None:
    """Levels that stay are found, with their medians; strays and small changes are not."""
    assert expected == steps_of(series)


@pytest.mark.parametrize(
    ("series", "share", "floor", "expected"),
    [
        pytest.param([100] * 8 + [105] * 8, 0.05, 0, [8], id="as-large-as-the-share"),
        pytest.param([100] * 8 + [104.9] * 8, 0.05, 0, [], id="below-the-share"),
        pytest.param([100] * 8 + [105] * 8, 0, 5, [8], id="as-large-as-the-floor"),
        pytest.param([100] * 8 + [104.9] * 8, 0, 5, [], id="below-the-floor"),
        pytest.param([105] * 8 + [100] * 8, 0, 5, [8], id="as-far-down"),
        pytest.param([0] * 8 + [0.5] * 8, 0.05, 0, [8], id="from-nothing-without-a-floor"),
        pytest.param([20] * 3 + [40] * 5, 0, 1, [], id="three-of-eight"),
        pytest.param(
            [100] * 8 + [103] * 8 + [150] * 8,
            0.05,
            0,
            [16],
            id="a-small-one-before-a-large-one",
        ),
        pytest.param(
            [100] * 8 + [150] * 8 + [153] * 8, 0.05, 0, [8], id="a-small-one-after-a-large-one"
        ),
        pytest.param(
            [50] * 8 + [100] * 8 + [103] * 8 + [150] * 8,
            0.05,
            0,
            [8, 24],
            id="a-small-one-between",
        ),
        pytest.param(
            [100] * 8 + [103] * 8 + [106] * 8, 0.05, 0, [], id="two-small-ones-are-none"
        ),
        pytest.param(
            [100] * 8 + [104] * 8 + [106] * 16, 0.05, 0, [8], id="the-smallest-goes-first"
        ),
    ],
)
def test_small_steps(series, share, floor, expected) -> None:
    """A step counts from the share and the floor on; smaller ones do not hide a larger one."""
    assert expected == [step.at for step in find_steps(series, share=share, floor=floor)]


@pytest.mark.parametrize(
    ("values", "share", "floor", "expected"),
    [
        pytest.param([20] * 7 + [40], 0, 1, False, id="a-stray"),
        pytest.param([20] * 6 + [40] * 2, 0, 1, True, id="two-in-three"),
        pytest.param([20] * 5 + [40] * 2, 0, 1, False, id="seven"),
        pytest.param([20] * 4 + [22] * 4, 0, 2, True, id="as-large-as-the-floor"),
        pytest.param([20] * 4 + [22] * 4, 0, 2.1, False, id="below-the-floor"),
        pytest.param([22] * 4 + [20] * 4, 0.1, 0, True, id="as-large-as-the-share"),
        pytest.param([22] * 4 + [20] * 4, 0.11, 0, False, id="below-the-share"),
        pytest.param([20] * 4 + [22] * 4, 0.1, 3, False, id="floor-and-share"),
    ],
)
def test_flat_series_are_left_alone(values, share, floor, expected) -> None:
    """A series is divided only if medians of three neighbours differ by enough."""
    assert expected is _may_have_changed(values, share, floor)


def test_levels_are_medians_of_all_their_values() -> None:
    """The first value counts for the level as all others do, and the last."""
    (step,) = find_steps([9, 9, 11, 11, 40, 40, 42, 42], floor=1)
    assert (step.at, step.before, step.after) == (4, 10, 41)


def test_strays_are_drawn_in() -> None:
    """A stray goes no further than three neighbours agree that the level has been."""
    assert _clipped([5, 1, 6, 7, 90, 8, 0, 9]) == [5, 5, 6, 7, 8, 8, 5, 8]


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        pytest.param([20] * 4, [21] * 4, True, id="without-any-scatter"),
        pytest.param([20] * 4, [20] * 4, False, id="the-same"),
        pytest.param([20] * 3, [40] * 5, False, id="three-on-the-left"),
        pytest.param([20] * 5, [40] * 3, False, id="three-on-the-right"),
        pytest.param([20, 23, 20, 23], [29] * 4, False, id="twice-the-range-on-the-left"),
        pytest.param([20, 23, 20, 23], [30] * 4, True, id="more-than-twice"),
        pytest.param([20] * 4, [26, 29, 26, 29], False, id="twice-the-range-on-the-right"),
        pytest.param([20] * 4, [27, 30, 27, 30], True, id="more-than-twice-on-the-right"),
        pytest.param([29, 26, 29, 26], [20] * 4, False, id="down-by-twice-the-range"),
        pytest.param([30, 27, 30, 27], [20] * 4, True, id="down-by-more"),
    ],
)
def test_plain_steps(left, right, expected) -> None:
    """Four values on each side are enough if they lie more than twice their range apart."""
    assert expected is _is_obvious(left, right)


LOW, HIGH = [20, 21] * 3, [23, 24] * 3


def test_rare_divisions() -> None:
    """Twelve values that no shuffled series divides as well are enough, eleven never are."""
    values = LOW + HIGH
    assert _is_rare(values, _best_border(values)[0], random.Random(0))  # noqa: S311  a fixed seed
    assert not _is_rare(values[:-1], 1e9, random.Random(0))  # noqa: S311  no secret


def test_one_shuffled_series_may_divide_as_well() -> None:
    """Of 399 shuffled series one may have as large a gain as the real one, two may not."""
    chance = random.Random(0)  # noqa: S311  a fixed seed
    shuffled, gains = [at * at for at in range(12)], []
    values = list(shuffled)
    for _ in range(399):
        chance.shuffle(shuffled)
        gains.append(_best_border(shuffled)[0])
    second, first = sorted(gains)[-2:]
    assert second < first
    assert _is_rare(values, first, random.Random(0))  # noqa: S311  the same seed
    assert not _is_rare(values, second, random.Random(0))  # noqa: S311  no secret


def energy(left, right) -> float:
    """The distance between two samples as Matteson and James weigh it."""

    def mean(ones, others, pairs) -> float:
        return sum(abs(a - b) for a in ones for b in others) / pairs

    n, m = len(left), len(right)
    inner = mean(left, left, n * (n - 1)) + mean(right, right, m * (m - 1))
    return (2 * mean(left, right, n * m) - inner) * n * m / (n + m)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([1, 2, 1, 9, 8, 9], id="six"),
        pytest.param([5, 1, 6, 20, 22, 21, 26], id="seven"),
        pytest.param([1, 2, 1, 9, 8, 9, 2, 1, 2], id="up-and-down"),
        pytest.param([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8], id="twelve"),
        pytest.param([7.5, 1, 1.25, 0, 30, 30, 31, 30, 2, 1], id="fractions"),
        pytest.param([0, 1, 0, 1, 0, 1], id="worse-than-chance"),
    ],
)
def test_best_border(values) -> None:
    """The border is where the series, or its beginning, has the largest energy distance."""
    distances = {
        (border, end): energy(values[:border], values[border:end])
        for end in range(6, len(values) + 1)
        for border in range(3, end - 2)
    }
    border, end = max(distances, key=lambda place: (distances[place], -place[0]))
    assert (pytest.approx(distances[border, end]), border) == _best_border(values)


def test_no_border_is_better() -> None:
    """Of borders that divide equally well the first is taken."""
    assert _best_border([4] * 9) == (0, 3)
    assert _best_border([0, 10, 0, 10, 0, 10]) == (-1, 3)


@pytest.mark.parametrize(
    ("values", "borders", "expected"),
    [
        pytest.param([1] * 4 + [9] * 4, [0, 3, 8], [0, 4, 8], id="later"),
        pytest.param([1] * 4 + [9] * 4, [0, 5, 8], [0, 4, 8], id="earlier"),
        pytest.param([1] * 3 + [9] * 5, [0, 4, 8], [0, 3, 8], id="to-the-first-place"),
        pytest.param([1] * 2 + [9] * 6, [0, 4, 8], [0, 3, 8], id="not-before-it"),
        pytest.param([1] * 5 + [9] * 3, [0, 4, 8], [0, 5, 8], id="to-the-last-place"),
        pytest.param([1] * 6 + [9] * 2, [0, 4, 8], [0, 5, 8], id="not-behind-it"),
        pytest.param([1] * 4 + [9] * 4 + [2] * 4, [0, 3, 9, 12], [0, 4, 8, 12], id="two"),
        pytest.param([1, 2, 1, 2, 9, 8, 9, 8], [0, 5, 8], [0, 4, 8], id="scattered"),
        pytest.param([5] * 8, [0, 5, 8], [0, 3, 8], id="nowhere-better"),
        pytest.param([1, 2, 3], [0, 3], [0, 3], id="none"),
    ],
)
def test_settled(values, borders, expected) -> None:
    """A border moves to where both sides scatter least, three values from its neighbours."""
    assert expected == _settled(values, borders)


def test_thresholds_can_be_set() -> None:
    """The caller sets what counts as small."""
    series = [100.0] * 8 + [103.0] * 8
    assert find_steps(series, share=0.05, floor=0) == ()
    (step,) = find_steps(series, share=0.02, floor=0)
    assert (step.at, round(step.share, 9)) == (8, 0.03)
