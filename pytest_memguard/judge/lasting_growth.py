"""Whether a signal grows at a rate that lasts: evenly, in steps, or never by too little."""

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
from pytest_memguard.leaks import BYTE_SIGNALS, Rate, Round, Signal

LEAST_CALLS: Final = 20
"""Calls a verdict of leaking rests on at least."""
UNEVEN_FROM_CALLS: Final = 60
"""Calls from which on a leak may be uneven."""
STRAIGHTNESS_ROUNDS: Final = 0.4
"""How far the level may be off a straight line below that, in growth per round."""
STEADY_SHARE: Final = 0.8
"""The same share, which must not surely be less where the rate seems to fall from the first
round on."""
NEW_GROUND_SHARE: Final = 0.5
"""Share of the growth that must lie above all earlier levels."""
_Z_95: Final = 1.64
"""The normal deviate that chance exceeds once in 20 times."""
_Z_99: Final = 2.33
"""The same for once in 100 times."""
_Z_999: Final = 3.09
"""The same for once in 1,000 times."""
LEAST_SHARE: Final = 0.5
"""Share of the median round's rate that the lowest has where growth is uneven but sure."""
FULL_SHARE: Final = 1 / 3
"""Share of the calls, the latest, over which a count did not grow that has come to an end."""
LATE_SHARE: Final = 0.9
"""Share of the calls, the latest, over which growth in steps may be seen as well."""
NOISY_SHARE: Final = 0.01
"""Share of the growth that a level may drop by without that being noise."""
PAUSES_SHARE: Final = 0.1
"""Share of these rounds without growth from which on it is one in steps."""
LATE_LASTING_SHARE: Final = 0.85
"""Share of its rate that growth in steps keeps over these calls."""
LEAST_ROUNDS_AT_LIMIT: Final = 4
"""Rounds a verdict of leaking rests on at least where growth has used up all that it may."""


def rate_of_leak(rounds: Sequence[Round], signal: Signal, least_calls: int) -> Rate | None:
    """The rate of a signal that grew in all late rounds, or in steps, if it did.

    Args:
        rounds: all so far, after the warm-up.
        signal: which.
        least_calls: fewer than usual where every call does harm.
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
    if calls_of(rounds) < UNEVEN_FROM_CALLS and least_calls >= LEAST_CALLS:
        return None
    return _rate_in_steps(rounds, signal)


def _is_steady(rounds: Sequence[Round], growth: GrowthEstimate) -> bool:
    """Whether it grew evenly and lastingly."""
    enough = calls_of(latest(rounds)) >= UNEVEN_FROM_CALLS
    return (
        growth.steady
        and (enough or _is_straight(rounds, growth.rate.signal))
        and not fades(rounds, growth)
    )


def _is_uneven_but_sure(rounds: Sequence[Round], growth: GrowthEstimate) -> bool:
    """Whether even the round that grew least grew by enough, and later ones not by less."""
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


def _gets_faster(rounds: Sequence[Round], growth: GrowthEstimate) -> bool:
    """Whether even the slowest round grew by enough, and the rate surely rises.

    So it does where each call adds to all that earlier calls have left behind.
    """
    signal = growth.rate.signal
    return growth.lowest > FLOORS[signal] and _falling(rounds, signal) < -_Z_999


def _keeps_most(rounds: Sequence[Round], signal: Signal) -> bool:
    """Whether a rate that seems to fall keeps most of itself over the latest half of the calls.

    It must not fall any more there. What each call keeps is never less, and something was
    added to it at first: a tree whose upper levels fill. A square root of the calls, which
    fades, keeps 0.41 of its rate.
    """
    whole = evened(rounds)
    late = last(whole, calls_of(rounds) / 2, LEAST_ROUNDS_AT_LIMIT)
    early = whole[: len(whole) - len(late)]
    before = sum(moved for _, moved in pairs_of(early, signal)) / max(1, calls_of(early))
    rate = sum(moved for _, moved in pairs_of(late, signal)) / calls_of(late)
    return rate >= STEADY_SHARE * before and _falling(late, signal) < _Z_95


def _rate_in_steps(rounds: Sequence[Round], signal: Signal) -> Rate | None:
    """The rate of a signal that grows in steps, perhaps but for some of the first calls.

    Where a count grew with the calls and came to an end, as that of the entries of a cache that
    is full, steps until then may be of the same thing: then those after it have to be enough.
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
    """How many rounds there are until all other counts ended that grew for many of them.

    Args:
        rounds: all so far, after the warm-up.
        signal: which is not among these others.
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
    """The rate of a signal that grew in all late rounds, where growth ate all that it may.

    How evenly does not matter: what is lost has been seen.

    Args:
        rounds: all so far, after the warm-up.
        signal: which.
    """
    # what grows faster and faster has shorter and shorter rounds
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
    """The rate of uneven growth, with an interval no wider than what any round showed."""
    rate = growth.rate
    low, high = max(rate.low, growth.lowest), min(rate.high, growth.highest)
    return replace(rate, low=low, high=high)


def fades(rounds: Sequence[Round], growth: GrowthEstimate) -> bool:
    """Whether the rate seems to fall since the first round, and has not surely stopped.

    Args:
        rounds: all so far, after the warm-up.
        growth: of the late ones.
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
    """How sure the rate seems to fall from the first round on: Kendall's tau as a deviate."""
    rates = [moved / n for n, moved in pairs_of(evened(rounds), signal)]
    concordance = sum((b > a) - (b < a) for a, b in combinations(rates, 2))
    count = len(rates)
    deviation = sqrt(count * (count - 1) * (2 * count + 5) / 18)
    return -concordance / deviation


def _is_straight(rounds: Sequence[Round], signal: Signal) -> bool:
    """Whether no level is far off a straight line; the last, which may be cut short, aside."""
    tail = latest(rounds)[:-1]
    levels = levels_of(tail, signal)
    done = list(accumulate((r.calls for r in tail), initial=0))
    rate = levels[-1] / done[-1]
    most = STRAIGHTNESS_ROUNDS * levels[-1] / len(tail)
    return all(abs(level - rate * n) <= most for n, level in zip(done, levels, strict=True))


def _is_new_ground(rounds: Sequence[Round], growth: GrowthEstimate) -> bool:
    """Whether most of the growth lies above all levels from before it."""
    tail = latest(rounds)
    levels = levels_of(evened(rounds), growth.rate.signal)
    before = levels[: len(levels) - len(tail)]
    return levels[-1] - max(before) >= NEW_GROUND_SHARE * (levels[-1] - before[-1])


def is_enough(tail: Sequence[Round], least_calls: int) -> bool:
    """Whether these are rounds and calls enough to rest a verdict on.

    Args:
        tail: the latest rounds.
        least_calls: how many calls are enough.
    """
    return len(tail) >= LEAST_ROUNDS and calls_of(tail) >= least_calls
