"""Estimates how fast a signal grows over rounds of calls, with an interval."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, sqrt
from typing import Final

from pytest_memguard.judge.rounds import FLOORS, pairs_of
from pytest_memguard.model.leaks import Rate, Round, Signal
from pytest_memguard.values import dataclass

NOT_FALLING: Final = 0.7
"""The least ratio of the rate in the later half of the rounds to that in the earlier half."""
T_975: Final = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""Student's t for a two-sided interval of 95 %, by degrees of freedom from 1."""
_T_9999: Final = (3183.1, 70.7, 22.2, 13.03, 9.68, 8.02, 7.06, 6.44, 6.01, 5.69)
"""Student's t that chance exceeds once in 10,000 times, by degrees of freedom from 1."""
T_999: Final = (318.3, 22.33, 10.21, 7.17, 5.89, 5.21, 4.79, 4.5, 4.3, 4.14)
"""The same for once in 1,000 times."""
T_99: Final = (31.82, 6.96, 4.54, 3.75, 3.36, 3.14, 3.0, 2.9, 2.82, 2.76)
"""The same for once in 100 times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthEstimate:
    """How one signal moved over some rounds."""

    rate: Rate
    """Growth per call, with its interval of 95 %."""
    error: float
    """Standard error of the rate."""
    rounds: int
    """The number of rounds."""
    lowest: float
    """The lowest rate of a single round."""
    highest: float
    """The highest rate of a single round."""
    trend: float
    """Ratio of the rate in the later half of the rounds to that in the earlier half."""

    @property
    def certain(self) -> bool:
        """Whether chance alone would show this growth at most once in 10,000 times."""
        return self.rate.per_call > self.error * quantile(_T_9999, self.rounds - 1)

    @property
    def steady(self) -> bool:
        """Whether the signal grew in every round, more than by chance, at a rate that holds."""
        grew = self.lowest > 0 and self.rate.per_call > FLOORS[self.rate.signal]
        return grew and self.certain and self.trend >= NOT_FALLING


def growth_of(rounds: Sequence[Round], signal: Signal) -> GrowthEstimate:
    """Estimate the growth of a signal per call, and the error of the estimate.

    Rounds have different numbers of calls, so this is a ratio estimate (W. G. Cochran,
    "Sampling Techniques", 3rd edition, 1977, chapter 6).

    Args:
        rounds: at least one, each with a reading of this signal.
        signal: the signal.
    """
    pairs = pairs_of(rounds, signal)
    calls = sum(n for n, _ in pairs)
    mean = sum(moved for _, moved in pairs) / calls
    freedom = len(pairs) - 1
    error = inf
    if freedom:
        spread = sum(n * (moved / n - mean) ** 2 for n, moved in pairs) / freedom
        error = sqrt(spread / calls)
    half = error * quantile(T_975, freedom)
    rates = [moved / n for n, moved in pairs]
    return GrowthEstimate(
        rate=Rate(signal=signal, per_call=mean, low=mean - half, high=mean + half),
        error=error,
        rounds=len(pairs),
        lowest=min(rates),
        highest=max(rates),
        trend=_trend(pairs),
    )


def quantile(table: Sequence[float], freedom: int) -> float:
    """Return Student's t for some degrees of freedom; beyond the table, its last value."""
    return table[min(max(freedom, 1), len(table)) - 1]


def _trend(pairs: Sequence[tuple[int, int]]) -> float:
    half = len(pairs) // 2
    earlier, later = pairs[:half], pairs[half:]
    before = sum(m for _, m in earlier) / max(1, sum(n for n, _ in earlier))  # of 1 round, none
    after = sum(m for _, m in later) / sum(n for n, _ in later)
    return after / before if before > 0 else inf
