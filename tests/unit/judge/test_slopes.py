"""Tests of how fast a signal grows over rounds of calls, and how sure that is."""

from __future__ import annotations

from bisect import bisect
from math import atan, cos, gamma, inf, pi, sqrt

import pytest

from pytest_memguard.judge.rounds import FLOORS
from pytest_memguard.judge.slopes import T_999, GrowthEstimate, growth_of, quantile
from pytest_memguard.model.leaks import Rate
from tests.support.leak_rounds import a_round

NEARLY = 0.05
"""How far a number of a table may be from the quantile; they have one to three decimals."""


def chance(deviations: float, freedom: int) -> float:
    """How often Student's t with so many degrees of freedom is more than this (Simpson)."""
    low, steps = atan(deviations / sqrt(freedom)), 2000
    width = (pi / 2 - low) / steps
    heights = [cos(low + width * at) ** (freedom - 1) for at in range(steps + 1)]
    area = heights[0] + heights[-1] + 4 * sum(heights[1:-1:2]) + 2 * sum(heights[2:-1:2])
    scale = gamma((freedom + 1) / 2) / (sqrt(pi) * gamma(freedom / 2))
    return scale * area * width / 3


def growth(per_call=1.0, *, rounds=6, error=0.0, lowest=1.0, trend=1.0) -> GrowthEstimate:
    """Growth of the number of blocks."""
    rate = Rate(signal="blocks", per_call=per_call, low=per_call, high=per_call)
    return GrowthEstimate(
        rate=rate, error=error, rounds=rounds, lowest=lowest, highest=9.0, trend=trend
    )


@pytest.mark.parametrize(
    ("pairs", "rate", "half", "lowest", "highest", "trend"),
    [
        pytest.param([(4, 8)], 2, inf, 2, 2, inf, id="one-round"),
        pytest.param([(3, 3), (6, 6), (9, 9)], 1, 0, 1, 1, 1, id="exact"),
        pytest.param([(1, 1), (1, 3)], 2, 12.706, 1, 3, 3, id="rising"),
        pytest.param([(10, 20), (30, 30)], 1.25, 5.5018593, 1, 2, 0.5, id="weighted"),
        pytest.param([(1, 1), (1, 1), (1, 1)], 1, 0, 1, 1, 1, id="the-middle-is-later"),
        pytest.param([(10, 5), (10, 5)], 0.5, 0, 0.5, 0.5, 1, id="less-than-one"),
        pytest.param([(10, -5), (10, 5)], 0, 6.353, -0.5, 0.5, inf, id="not-that-low"),
        pytest.param([(5, -5), (5, 10)], 0.5, 19.059, -1, 2, inf, id="from-below"),
        pytest.param([(1, n % 2) for n in range(12)], 0.5, 0.3359, 0, 1, 1, id="many"),
    ],
)
def test_growth_of(pairs, rate, half, lowest, highest, trend) -> None:
    """A rate is growth over calls, with an interval from how unlike the rounds are."""
    growth = growth_of([a_round(calls, C_heap=by) for calls, by in pairs], "C heap")
    interval = Rate(
        signal="C heap",
        per_call=growth.rate.per_call,
        low=pytest.approx(rate - half, abs=1e-4),
        high=pytest.approx(rate + half, abs=1e-4),
    )
    assert interval == growth.rate
    assert (rate, lowest, highest, trend, len(pairs)) == (
        growth.rate.per_call,
        growth.lowest,
        growth.highest,
        growth.trend,
        growth.rounds,
    )


@pytest.mark.parametrize("freedom", range(1, 11))
def test_interval(freedom) -> None:
    """The interval of a rate misses the true one in 5 % of all cases."""
    pairs = [(1, at % 2) for at in range(freedom + 1)]
    found = growth_of([a_round(calls, blocks=moved) for calls, moved in pairs], "blocks")
    deviations = (found.rate.high - found.rate.per_call) / found.error
    assert chance(deviations + NEARLY, freedom) < 0.025 < chance(deviations - NEARLY, freedom)
    assert found.rate.per_call - found.rate.low == pytest.approx(deviations * found.error)


@pytest.mark.parametrize("freedom", range(1, 11))
def test_certain(freedom) -> None:
    """Growth is certain if chance shows as much once in 10,000 times at most."""
    rates = [at / 100 for at in range(500_000)]
    first = bisect(
        rates, False, key=lambda rate: growth(rate, error=1, rounds=freedom + 1).certain
    )
    deviations = rates[first]
    assert chance(deviations + NEARLY, freedom) < 1e-4 < chance(deviations - NEARLY, freedom)


@pytest.mark.parametrize("freedom", range(1, 11))
def test_once_in_a_thousand(freedom) -> None:
    """The other table has what chance exceeds once in 1,000 times."""
    deviations = quantile(T_999, freedom)
    assert chance(deviations + NEARLY, freedom) < 1e-3 < chance(deviations - NEARLY, freedom)


@pytest.mark.parametrize(
    ("freedom", "expected"),
    [
        pytest.param(0, 30.0, id="none-as-one"),
        pytest.param(1, 30.0, id="one"),
        pytest.param(2, 20.0, id="two"),
        pytest.param(3, 10.0, id="the-last"),
        pytest.param(4, 10.0, id="more-than-the-table-has"),
    ],
)
def test_quantile(freedom, expected) -> None:
    """A table begins with one degree of freedom, and its last number holds for all beyond."""
    assert expected == quantile((30.0, 20.0, 10.0), freedom)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(growth(), True, id="even"),
        pytest.param(growth(0.0), False, id="none"),
        pytest.param(growth(error=inf), False, id="of-one-round"),
        pytest.param(growth(10.0, rounds=2, error=1.0), False, id="few-uneven-rounds"),
        pytest.param(growth(10.0, rounds=6, error=1.0), True, id="more-uneven-rounds"),
    ],
)
def test_certain_growth(found, expected) -> None:
    """Growth is certain only if it is more than its error allows."""
    assert expected is found.certain


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(growth(), True, id="steady"),
        pytest.param(growth(lowest=0.01), True, id="hardly-in-one-round"),
        pytest.param(growth(lowest=0.0), False, id="not-in-one-round"),
        pytest.param(growth(lowest=-1.0), False, id="fell-in-one-round"),
        pytest.param(growth(FLOORS["blocks"] - 0.01), False, id="below-the-floor"),
        pytest.param(growth(FLOORS["blocks"]), False, id="at-the-floor"),
        pytest.param(growth(FLOORS["blocks"] + 0.01), True, id="above-the-floor"),
        pytest.param(growth(error=1.0), False, id="by-chance"),
        pytest.param(growth(trend=0.7), True, id="just-not-falling"),
        pytest.param(growth(trend=0.69), False, id="falling"),
        pytest.param(growth(trend=5.0), True, id="rising"),
    ],
)
def test_steady(found, expected) -> None:
    """Steady growth is there in every round, above the floor, certain and not falling."""
    assert expected is found.steady
