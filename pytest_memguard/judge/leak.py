"""Does a number that is read between calls grow with them, how fast, and how sure is that?

The rule works on rounds of calls. A round is flat if no signal moved by more than its floor.

No further calls are needed once the latest two rounds are flat and every signal is hardly above
the lowest it has been over the latest third of the calls, 24 at least: clean if all rounds as
one are flat, settling if not.

A leak is a signal of which all this holds over the latest two thirds of the calls, or the
latest 30 if these are more (six rounds and 20 calls at least):

- it grew in every round (USS by more than a page), and by more than its floor per call;
- rounds as uneven as these would show so much growth once in 10,000 times if it went up and
  down by chance (Student's t); and if there are fewer than 60 calls, where chance looks regular
  too easily, the level never strays from a straight line by more than 0.4 of a round's growth;
- its rate does not fall: in the later half of these rounds it is at least 70 % of that in the
  earlier half, and surely 80 % (99.9 %) if it seems to fall from the first round of all to the
  last (Kendall's tau, 5 %);
- at least half of the growth is new ground: it lies above all earlier levels.

The first two conditions stop noise, the third what fades, the last what rises and falls. What
looks like a leak for as long as there are calls, such as a cache with more entries than that,
is called one: a rule on numbers cannot know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, combinations
from math import hypot, sqrt
from typing import Final

from pytest_memguard.judge.rounds import (
    GRAINS,
    LEAST_ROUNDS,
    allowance,
    calls_of,
    evened,
    is_flat,
    joined,
    last,
    latest,
    levels_of,
    pairs_of,
    signals_of,
)
from pytest_memguard.judge.slopes import NOT_FALLING, T_999, Growth, growth_of, quantile
from pytest_memguard.leaks import BYTE_SIGNALS, Round, Signal, Verdict
from pytest_memguard.units import format_size

LEAST_CALLS: Final = 20
"""Calls a verdict of leaking rests on at least."""
MANY_CALLS: Final = 60
"""Calls from which on a leak may be uneven."""
STRAIGHT: Final = 0.4
"""How far the level may be off a straight line below that, in growth per round."""
STEADY: Final = 0.8
"""The same share, which must not surely be less where the rate seems to fall from the first
round on."""
EVEN: Final = 0.7
"""Share of the highest rate of a round that the lowest has where growth is even."""
NEW_GROUND: Final = 0.5
"""Share of the growth that must lie above all earlier levels."""
QUIET: Final = 1 / 3
"""Share of the calls, the latest, over which nothing may grow for the check to end early."""
_FEW: Final[Mapping[Signal, float]] = {"C heap": 6.0}
"""Growth per call that the first look lets pass; of what is counted it is none."""
CONFIRMED: Final = 0.7
"""Share of the growth expected of a longer round that must be there."""
SHORT_ROUND: Final = 6
"""Rounds of more calls than this tell growth per call from growth per look by themselves."""
QUIET_CALLS: Final = 24
"""Calls at least over which nothing may."""
QUIET_FLOOR: Final = 0.5
"""Share of its floor by which a signal may be above its lowest level meanwhile."""
_Z_95: Final = 1.64
"""The normal deviate that chance exceeds once in 20 times."""


def passes(rounds: Sequence[Round]) -> bool:
    """Whether the latest two rounds of a first look show nothing at all.

    glibc keeps up to seven freed blocks of a size aside for each thread and counts them as
    used; a leak of one small block per call shows in eight calls all the same, though
    not with all of its blocks.

    Args:
        rounds: so far, of four calls each.
    """
    latest_two = rounds[-2:]
    if len(latest_two) < 2 or not all(map(is_flat, latest_two)):
        return False
    if not any(moved > 0 for a_round in latest_two for _, moved in a_round.growth):
        return True
    whole = joined(latest_two)
    return all(
        moved <= max(_FEW.get(signal, 0.0) * whole.calls, GRAINS.get(signal, 0))
        for signal, moved in whole.growth
    )


def conclude(rounds: Sequence[Round]) -> Verdict | None:
    """The verdict that needs no further calls, if there is one.

    Args:
        rounds: all so far, after the warm-up.
    """
    if len(rounds) < 2 or not (is_flat(rounds[-1]) and is_flat(rounds[-2])):
        return None
    calls = calls_of(rounds)
    quiet = last(rounds, max(QUIET_CALLS, QUIET * calls), 2)
    over = calls_of(quiet)
    if over < QUIET_CALLS:
        return None
    for signal in signals_of(quiet):
        levels = levels_of(quiet, signal)
        if levels[-1] - min(levels) > allowance(signal, over, QUIET_FLOOR):
            return None
    whole = joined(rounds)
    if is_flat(whole):
        return Verdict(state="clean", calls=calls, rounds=tuple(rounds))
    signal = next(s for s in signals_of(rounds) if (whole.of(s) or 0) > allowance(s, calls))
    grown = whole.of(signal) or 0
    amount = format_size(grown) if signal in BYTE_SIGNALS else f"{grown:,}"
    return Verdict(
        state="settling",
        calls=calls,
        rounds=tuple(rounds),
        reason=f"{signal} grew by {amount} at first, and no more after {calls - over} calls",
    )


def suspects(rounds: Sequence[Round], least_calls: int = LEAST_CALLS) -> list[Growth]:
    """The signals that have grown steadily so far, the most telling first.

    Args:
        rounds: all so far, after the warm-up.
        least_calls: fewer than usual where every call does harm.
    """
    tail = latest(rounds)
    if not _enough(tail, least_calls):
        return []
    growths = [
        growth_of(tail, signal)
        for signal in signals_of(rounds)
        if all(moved > GRAINS.get(signal, 0) for _, moved in pairs_of(tail, signal))
    ]
    return [
        growth
        for growth in growths
        if growth.steady
        and (calls_of(tail) >= MANY_CALLS or _is_straight(rounds, growth.rate.signal))
        and not _fades(rounds, growth)
        and _is_new_ground(rounds, growth)
    ]


def final(rounds: Sequence[Round], stopped: str, least_calls: int = LEAST_CALLS) -> Verdict:
    """The verdict when no further calls are made.

    Args:
        rounds: all there are, after the warm-up.
        stopped: why there are no more, in words that follow on a comma.
        least_calls: fewer than usual where so much is lost per call that more would do harm.
    """
    calls = calls_of(rounds)
    tail = latest(rounds)
    over = calls_of(tail)
    steady = suspects(rounds, least_calls)
    if steady:
        return Verdict(
            state="leaking",
            calls=over,
            rates=tuple(growth.rate for growth in steady),
            rounds=tuple(rounds),
        )
    if not _enough(tail, least_calls):
        made = f"{calls} calls" if calls else "the first calls alone"
        reason = f"{made} are too few to tell, {stopped}"
        return Verdict(state="unclear", calls=calls, rounds=tuple(rounds), reason=reason)
    grown = [
        growth_of(tail, signal)
        for signal in signals_of(rounds)
        if levels_of(tail, signal)[-1] > allowance(signal, over)
    ]
    lasting = [g for g in grown if g.trend >= (STEADY if _fades(rounds, g) else NOT_FALLING)]
    if lasting:
        whole = growth_of(evened(rounds), lasting[0].rate.signal)
        reason = (
            f"{whole.rate.signal} moved by {whole.lowest:.3g} to {whole.highest:.3g} a call, "
            f"too unevenly to tell, {stopped}"
        )
        return Verdict(
            state="unclear",
            calls=calls,
            rates=tuple(growth.rate for growth in lasting),
            rounds=tuple(rounds),
            reason=reason,
        )
    reason = (
        f"{grown[0].rate.signal} grew by less and less, {stopped}"
        if grown
        else f"hardly anything was added in the last {over} calls, {stopped}"
    )
    return Verdict(state="settling", calls=calls, rounds=tuple(rounds), reason=reason)


def confirmed(verdict: Verdict, longer: Round) -> Verdict:
    """The verdict of leaking, or unclear if it does not hold for a round twice as long.

    What grows with the number of looks, and not with that of the calls, looks like a leak
    as long as all rounds are alike.

    Args:
        verdict: leaking, from rounds of a few calls each.
        longer: one more round.
    """
    rate = verdict.rates[0]
    moved = longer.of(rate.signal) or 0
    if moved >= CONFIRMED * rate.per_call * longer.calls:
        return verdict
    return Verdict(
        state="unclear",
        calls=verdict.calls + longer.calls,
        rates=verdict.rates,
        rounds=verdict.rounds,
        reason=f"{rate.signal} grew by {rate.per_call:.3g} a call, but by {moved} in "
        f"{longer.calls} calls without a look in between",
    )


def untraced(verdict: Verdict) -> Verdict:
    """The verdict of leaking for growth whose allocations nobody found, or unclear.

    glibc keeps freed blocks aside, up to seven of each size, and counts them as used. Calls
    that need blocks of many sizes fill that by and by, over hundreds of calls. No allocation
    stays then, and the C heap alone grows, by another amount in each round.

    Args:
        verdict: leaking.
    """
    if any(rate.signal != "C heap" for rate in verdict.rates):
        return verdict
    growth = growth_of(latest(verdict.rounds), "C heap")
    if growth.lowest >= EVEN * growth.highest:
        return verdict
    return replace(
        verdict,
        state="unclear",
        reason=f"C heap grew by {growth.lowest:.3g} to {growth.highest:.3g} a call, but no "
        "allocation was found that stays: the allocator may keep freed blocks aside",
    )


def next_size(done: int) -> int:
    """Calls of the next round: a sixth of what has been done, by threes while it is short.

    A leak on every second or third call shows alike in every three calls. Longer rounds are of
    any length, so that what comes and goes by threes does not stand still in them.

    Args:
        done: calls so far, after the warm-up.
    """
    size = done // 6
    return size if size >= 12 else max(3, size // 3 * 3)


def _fades(rounds: Sequence[Round], growth: Growth) -> bool:
    """Whether the rate seems to fall since the first round, and has not surely stopped."""
    signal = growth.rate.signal
    rates = [moved / n for n, moved in pairs_of(evened(rounds), signal)]
    concordance = sum((b > a) - (b < a) for a, b in combinations(rates, 2))
    count = len(rates)
    deviation = sqrt(count * (count - 1) * (2 * count + 5) / 18)
    if concordance > -_Z_95 * deviation:
        return False
    tail = latest(rounds)
    half = len(tail) // 2
    earlier, later = growth_of(tail[:half], signal), growth_of(tail[half:], signal)
    above = later.rate.per_call - STEADY * earlier.rate.per_call
    error = hypot(later.error, STEADY * earlier.error)
    return above < error * quantile(T_999, len(tail) - 2)


def _is_straight(rounds: Sequence[Round], signal: Signal) -> bool:
    """Whether no level is far off a straight line; the last, which may be cut short, aside."""
    tail = latest(rounds)[:-1]
    levels = levels_of(tail, signal)
    done = list(accumulate((r.calls for r in tail), initial=0))
    rate = levels[-1] / done[-1]
    most = STRAIGHT * levels[-1] / len(tail)
    return all(abs(level - rate * n) <= most for n, level in zip(done, levels, strict=True))


def _is_new_ground(rounds: Sequence[Round], growth: Growth) -> bool:
    """Whether most of the growth lies above all levels from before it."""
    tail = latest(rounds)
    levels = levels_of(evened(rounds), growth.rate.signal)
    before = levels[: len(levels) - len(tail)]
    return levels[-1] - max(before) >= NEW_GROUND * (levels[-1] - before[-1])


def _enough(tail: Sequence[Round], least_calls: int) -> bool:
    return len(tail) >= LEAST_ROUNDS and calls_of(tail) >= least_calls
