"""Tests of growth in steps: does a level that stands still pause, or has its growth ended?"""

from __future__ import annotations

import pytest

from pytest_memguard.judge.stepped_growth import (
    is_pausing,
    least_pause,
    rate_of_steps,
    steps_of,
)
from tests.support.leak_rounds import series


def test_steps_are_rises_above_all_before() -> None:
    """A level that falls and comes back makes no step; one that rises above makes one."""
    rounds = series(5, 0, -3, 3, 4, -9, 20, calls=10)
    found = [
        (s.start, s.end, s.before, s.after, s.size, s.middle)
        for s in steps_of(rounds, "blocks")
    ]
    assert found == [(0, 10, 0, 5, 5, 5), (40, 50, 5, 9, 4, 45), (60, 70, 9, 20, 11, 65)]


def test_steps_of_a_size() -> None:
    """Small rises add up until they are more than a step has to be."""
    found = [(s.end, s.before, s.after) for s in steps_of(series(2, 2, 2, 9, 3), "blocks", 4)]
    assert found == [(9, 0, 6), (12, 6, 15)]


@pytest.mark.parametrize(
    ("moved", "earlier", "expected"),
    [
        pytest.param([0, 0], 0, False, id="never-grew"),
        pytest.param([0, 9, 0], 0, True, id="grew-just-now"),
        pytest.param([0, 20, *[0] * 3], 0, True, id="shorter-than-twice-what-was-before"),
        pytest.param([0, 20, *[0] * 4], 0, False, id="twice-as-long-as-before"),
        pytest.param([9, 0, 9, *[0] * 3], 0, True, id="shorter-than-twice-the-pause"),
        pytest.param([9, 0, 9, *[0] * 4], 0, False, id="twice-as-long-as-the-pause"),
        pytest.param([9, 0, 18, *[0] * 7], 0, True, id="wider-steps-are-further-apart"),
        pytest.param([9, 0, 18, *[0] * 8], 0, False, id="twice-as-far-as-expected"),
        pytest.param([9, 0, 900, *[0] * 15], 0, True, id="up-to-four-times-as-far"),
        pytest.param(
            [0, 0, 0, 1, 0, 30, *[0] * 12], 0, False, id="much-smaller-ones-prove-nothing"
        ),
        pytest.param([0] * 9 + [2, 0], 0, False, id="less-than-the-floor-by-then"),
        pytest.param([0, 20, -15, 0, 0], 0, True, id="most-of-it-taken-back"),
        pytest.param([0, 20, -20, 0, 0], 0, False, id="taken-back"),
        pytest.param([0, 8, 0], 0, False, id="once-less-than-four-floors"),
        pytest.param([8, 8, 0], 0, True, id="twice-more-than-one-floor"),
        pytest.param([0] * 6, 100, True, id="much-before"),
        pytest.param([0] * 7, 100, False, id="long-enough-after-that"),
    ],
)
def test_pausing(moved, earlier, expected) -> None:
    """A pause is over when it is clearly longer than those before, and than steps are large."""
    assert expected is is_pausing(series(*moved, calls=4), "blocks", earlier)


@pytest.mark.parametrize(
    ("signal", "size", "calls"),
    [("blocks", 40, 10), ("C heap", 1920, 10), ("blocks", 9999, 64)],
)
def test_a_large_step_calls_for_a_long_pause(signal, size, calls) -> None:
    """The larger a step, the more it may stand for per call; there is an end to that."""
    assert calls == least_pause(signal, size)


def stairs(*steps: int, every=10):
    """Rounds of a call each, and a step of such a size in the last of so many."""
    return series(*[by for size in steps for by in [*[0] * (every - 1), size]], calls=1)


@pytest.mark.parametrize(
    ("rounds", "rate"),
    [
        pytest.param(stairs(50, 50, 50, 50), 5, id="even"),
        pytest.param(stairs(50, 50, 50), None, id="three-steps"),
        pytest.param(stairs(50, 50, 50, 50) + series(*[0] * 9, calls=1), 5, id="not-yet-due"),
        pytest.param(stairs(50, 50, 50, 50) + series(*[0] * 14, calls=1), None, id="overdue"),
        pytest.param(stairs(2, 2, 2, 2), None, id="below-the-floor"),
        pytest.param(stairs(90, 70, 50, 30), None, id="ever-smaller"),
        pytest.param(stairs(40, 50, 60, 50), 5, id="hardly-uneven"),
        pytest.param(stairs(50, 50, -25, 50, 50, 50), None, id="drops"),
        pytest.param(
            series(0, 8, 8, 0, 16, *[0] * 3, 32, *[0] * 7, 64, *[0] * 12, calls=1),
            4,
            id="doubled",
        ),
        pytest.param(
            series(0, 8, 8, 0, 16, *[0] * 3, 32, *[0] * 7, 64, *[0] * 24, calls=1),
            None,
            id="doubled-and-overdue",
        ),
    ],
)
def test_rate(rounds, rate) -> None:
    """The rate of use that fits all steps, however wide they are, if there is one."""
    found = rate_of_steps(rounds, "blocks")
    if rate is None:
        assert found is None
    else:
        assert found is not None
        assert found.low <= found.per_call <= found.high
        assert rate == pytest.approx(found.per_call, rel=0.1)
