"""Whether a signal grows at a rate that lasts: evenly, unevenly but surely, or in steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, combinations
from math import hypot, sqrt
from statistics import median
from typing import Final

from pytest_memguard.judge.rounds import (
    FLOORS,
    LEAST_ROUNDS,
    RESOLUTIONS,
    TAIL_SHARE,
    allowance,
    calls_of,
    evened,
    last,
    latest,
    levels_of,
    pairs_of,
    signals_of,
)
from pytest_memguard.judge.slopes import (
    NOT_FALLING,
    T_99,
    T_999,
    GrowthEstimate,
    growth_of,
    quantile,
)
from pytest_memguard.judge.stepped_growth import deepest_drop, rate_of_steps
from pytest_memguard.model.leaks import BYTE_SIGNALS, Rate, Round, Signal

LEAST_CALLS: Final = 20
"""The least number of calls for a verdict of leaking."""
UNEVEN_FROM_CALLS: Final = 60
"""The number of calls from which on a leak may be uneven."""
STRAIGHTNESS_ROUNDS: Final = 0.4
"""With fewer calls: how far the level may differ from a straight line, in rounds' growth."""
STEADY_SHARE: Final = 0.8
"""Least ratio of the later rate to the earlier one where the rate seems to fall."""
NEW_GROUND_SHARE: Final = 0.5
"""Share of the growth that must lie above all levels from before it."""
_Z_95: Final = 1.64
"""The standard normal deviate that chance exceeds once in 20 times."""
_Z_99: Final = 2.33
"""The same for once in 100 times."""
_Z_999: Final = 3.09
"""The same for once in 1,000 times."""
LEAST_SHARE: Final = 0.5
"""Least ratio of the lowest rate of a round to the median if growth is uneven but sure."""
_STEPS_BESIDE: Final = (1, 2)
"""Numbers of rounds with a step beside even growth: no more doublings fit into late rounds."""
STEP_FACTOR: Final = 2
"""How many times as fast as in all other rounds a signal grows in a round with such a step."""
FULL_SHARE: Final = 1 / 3
"""Share of all calls, up to the latest, in which a count must not grow to have stopped."""
LATE_SHARE: Final = 0.9
"""Share of all calls, up to the latest, that growth in steps may be judged by as well."""
NOISY_SHARE: Final = 0.01
"""Share of the growth by which a level may drop without being called noisy."""
PAUSES_SHARE: Final = 0.1
"""Share of those rounds without growth from which on growth is in steps."""
LATE_LASTING_SHARE: Final = 0.85
"""Least ratio of the later rate to the earlier one for growth in steps over those calls."""
LEAST_ROUNDS_AT_LIMIT: Final = 4
"""The least number of rounds for a leak that has used up all that it may."""


def rate_of_leak(rounds: Sequence[Round], signal: Signal, least_calls: int) -> Rate | None:
    """Return the rate of a signal that leaks; ``None`` if it does not leak for sure.

    Args:
        rounds: all rounds so far, without the warm-up.
        signal: the signal.
        least_calls: the least number of calls for a leak.
    """
    tail = latest(rounds)
    if not is_enough(tail, least_calls):
        return None
    if all(moved > RESOLUTIONS.get(signal, 0) for _, moved in pairs_of(tail, signal)):
        growth = growth_of(tail, signal)
        if _is_new_ground(rounds, growth):
            if _is_steady(rounds, growth):
                return growth.rate
            if _is_uneven_but_sure(rounds, growth) or _gets_faster(rounds, growth):
                return _within(growth)
        if any(_is_steady_beside(steps, rounds, signal) for steps in _STEPS_BESIDE):
            return _within(growth)
    if calls_of(rounds) < UNEVEN_FROM_CALLS and least_calls >= LEAST_CALLS:
        return None
    return _rate_in_steps(rounds, signal)


def _is_steady(rounds: Sequence[Round], growth: GrowthEstimate) -> bool:
    """Return whether a signal grew evenly, at a rate that holds."""
    enough = calls_of(latest(rounds)) >= UNEVEN_FROM_CALLS
    return (
        growth.steady
        and (enough or _is_straight(rounds, growth.rate.signal))
        and not fades(rounds, growth)
    )


def _is_uneven_but_sure(rounds: Sequence[Round], growth: GrowthEstimate) -> bool:
    """Return whether even the round with the least growth grew enough, and the rate holds."""
    tail = latest(rounds)
    signal = growth.rate.signal
    rates = [moved / n for n, moved in pairs_of(tail, signal)]
    return (
        calls_of(tail) >= UNEVEN_FROM_CALLS
        and growth.lowest > max(FLOORS[signal], LEAST_SHARE * median(rates))
        and growth.rate.per_call > growth.error * quantile(T_99, growth.rounds - 1)
        and growth.trend >= STEADY_SHARE
        and (_falling(rounds, signal) < _Z_95 or _keeps_most(rounds, signal))
    )


def _is_steady_beside(steps: int, rounds: Sequence[Round], signal: Signal) -> bool:
    """Return whether a signal grew evenly in all late rounds but the highest, which had steps.

    A table that doubles beside what each call keeps makes the rate uneven, but no lower.

    Args:
        steps: the number of those rounds, each of which grew by far more than all others.
        rounds: all rounds so far, without the warm-up.
        signal: the signal.
    """
    whole = evened(rounds)
    tail = latest(whole)
    rates = [moved / n for n, moved in pairs_of(tail, signal)]
    highest = sorted(range(len(rates)), key=rates.__getitem__, reverse=True)
    if len(rates) <= steps or rates[highest[steps - 1]] < STEP_FACTOR * rates[highest[steps]]:
        return False
    kept = [one for number, one in enumerate(tail) if number not in highest[:steps]]
    others = [*whole[: len(whole) - len(tail)], *kept]
    late = latest(others)
    if not is_enough(late, UNEVEN_FROM_CALLS):
        return False
    growth = growth_of(late, signal)
    return _is_new_ground(others, growth) and _is_steady(others, growth)


def _gets_faster(rounds: Sequence[Round], growth: GrowthEstimate) -> bool:
    """Return whether even the slowest round grew by enough, and the rate surely rises.

    It rises if each call adds to all that earlier calls have left behind.
    """
    signal = growth.rate.signal
    return growth.lowest > FLOORS[signal] and _falling(rounds, signal) < -_Z_999


def _keeps_most(rounds: Sequence[Round], signal: Signal) -> bool:
    """Return whether a rate that seems to fall keeps 80 % over the latest half of the calls.

    It must not fall any more there. So it is if each call keeps the same, and early calls kept
    something more: in a tree, for example, whose upper levels fill first. Growth that fades
    keeps less: a level that rises with the square root of the calls keeps 0.41 of its rate.
    """
    whole = evened(rounds)
    late = last(whole, calls_of(rounds) / 2, LEAST_ROUNDS_AT_LIMIT)
    early = whole[: len(whole) - len(late)]
    before = sum(moved for _, moved in pairs_of(early, signal)) / max(1, calls_of(early))
    rate = sum(moved for _, moved in pairs_of(late, signal)) / calls_of(late)
    return rate >= STEADY_SHARE * before and _falling(late, signal) < _Z_95


def _rate_in_steps(rounds: Sequence[Round], signal: Signal) -> Rate | None:
    """Return the rate of a signal that grows in steps, if need be without the first calls.

    If a count grew with the calls and stopped, such as the entries of a cache that is full,
    steps up to then may belong to the same cause, so only the steps after it count.
    """
    rounds = rounds[full_after(rounds, signal) :]
    rate = rate_of_steps(rounds, signal)
    falls = _falling(rounds, signal)
    levels = levels_of(rounds, signal)
    if falls > _Z_95 and deepest_drop(levels) > NOISY_SHARE * levels[-1]:
        return None
    late = last(rounds, LATE_SHARE * calls_of(rounds), LEAST_ROUNDS)
    pauses = sum(moved <= RESOLUTIONS.get(signal, 0) for _, moved in pairs_of(late, signal))
    if pauses < PAUSES_SHARE * len(late):
        return None if falls > _Z_99 else rate
    return rate or (None if falls > _Z_99 else rate_of_steps(late, signal, LATE_LASTING_SHARE))


def full_after(rounds: Sequence[Round], signal: Signal) -> int:
    """Return in how many of the first rounds other counts grew steadily before they stopped.

    Args:
        rounds: all rounds so far, without the warm-up.
        signal: the signal that the others are compared with.
    """
    late = last(rounds, FULL_SHARE * calls_of(rounds), 1)
    found = 0
    for other in signals_of(rounds):
        if other == signal or other in BYTE_SIGNALS:
            continue
        grew = [moved > allowance(other, n) for n, moved in pairs_of(rounds, other)]
        count = sum(grew)
        if count >= LEAST_ROUNDS and not any(grew[len(rounds) - len(late) :]):
            first, end = grew.index(True), len(grew) - grew[::-1].index(True)
            found = max(found, end if count > (end - first) / 2 else 0)
    return found


def rate_at_limit(rounds: Sequence[Round], signal: Signal) -> Rate | None:
    """Return the rate of a signal that grew in all late rounds until it reached its limit.

    The growth need not be even: it has been large enough to end the check.

    Args:
        rounds: all rounds so far, without the warm-up.
        signal: the signal.
    """
    # if growth gets faster, rounds get shorter
    even = evened(rounds)
    whole = rounds if len(even) < LEAST_ROUNDS_AT_LIMIT else even
    tail = last(whole, TAIL_SHARE * calls_of(rounds), LEAST_ROUNDS_AT_LIMIT)
    if len(tail) < LEAST_ROUNDS_AT_LIMIT:
        return None
    if any(moved <= allowance(signal, n) for n, moved in pairs_of(tail, signal)):
        return None
    growth = growth_of(tail, signal)
    return _within(growth) if growth.trend >= NOT_FALLING else None


def _within(growth: GrowthEstimate) -> Rate:
    """Return the rate of uneven growth, its interval limited to the rates of single rounds."""
    rate = growth.rate
    low, high = max(rate.low, growth.lowest), min(rate.high, growth.highest)
    return replace(rate, low=low, high=high)


def fades(rounds: Sequence[Round], growth: GrowthEstimate) -> bool:
    """Return whether the rate seems to fall from the first round on, and still does.

    Args:
        rounds: all rounds so far, without the warm-up.
        growth: the growth in the late rounds.
    """
    signal = growth.rate.signal
    if _falling(rounds, signal) < _Z_95:
        return False
    tail = latest(rounds)
    half = len(tail) // 2
    earlier, later = growth_of(tail[:half], signal), growth_of(tail[half:], signal)
    above = later.rate.per_call - STEADY_SHARE * earlier.rate.per_call
    error = hypot(later.error, STEADY_SHARE * earlier.error)
    return above < error * quantile(T_999, len(tail) - 2)


def _falling(rounds: Sequence[Round], signal: Signal) -> float:
    """Return how sure it is that the rate falls, as a standard normal deviate.

    This is the trend test of Mann and Kendall: Kendall's tau between the rates of the rounds
    and their order, divided by its standard deviation if there were no trend.
    """
    rates = [moved / n for n, moved in pairs_of(evened(rounds), signal)]
    concordance = sum((b > a) - (b < a) for a, b in combinations(rates, 2))
    count = len(rates)
    deviation = sqrt(count * (count - 1) * (2 * count + 5) / 18)
    return -concordance / deviation


def _is_straight(rounds: Sequence[Round], signal: Signal) -> bool:
    """Return whether all levels lie near a straight line.

    The last round is left out: it may have been cut short.
    """
    tail = latest(rounds)[:-1]
    levels = levels_of(tail, signal)
    done = list(accumulate((r.calls for r in tail), initial=0))
    rate = levels[-1] / done[-1]
    most = STRAIGHTNESS_ROUNDS * levels[-1] / len(tail)
    return all(abs(level - rate * n) <= most for n, level in zip(done, levels, strict=True))


def _is_new_ground(rounds: Sequence[Round], growth: GrowthEstimate) -> bool:
    """Return whether most of the growth lies above all levels from before it."""
    tail = latest(rounds)
    levels = levels_of(evened(rounds), growth.rate.signal)
    before = levels[: len(levels) - len(tail)]
    return levels[-1] - max(before) >= NEW_GROUND_SHARE * (levels[-1] - before[-1])


def is_enough(tail: Sequence[Round], least_calls: int) -> bool:
    """Return whether these rounds suffice for a verdict.

    Args:
        tail: the latest rounds.
        least_calls: the least number of calls.
    """
    return len(tail) >= LEAST_ROUNDS and calls_of(tail) >= least_calls
