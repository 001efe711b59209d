"""Does a number that is read between calls grow with them, how fast, and how sure is that?

The rule works on rounds of calls. A round is flat if no signal moved by more than its floor.

No further calls are needed once the latest two rounds are flat, every signal is hardly above
the lowest it has been over the latest third of the calls, 24 at least, and nothing pauses
(`stepped_growth`): clean if all rounds as one are flat, settling if not.

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

Growth may also get faster, as where each call adds to all that earlier ones have left: even
the slowest of these rounds then grew by more than its floor per call, and the rate surely rises
from the first round of all to the last (Kendall's tau, 0.1 %).

The first two conditions stop noise, the third what fades, the last what rises and falls.

From 60 calls on, growth may be uneven. Either the round that grew least decides: it grew by
more than the floor and by half of the median round at least, chance shows so much once in 100
times, and the rate in the later half is at least 80 % and either does not seem to fall or keeps
80 % over the latest half of all calls and does not fall there. Or it grew in four steps or
more, eight of USS, that one rate fits (`stepped_growth`).

What ate all that it may is a leak if it grew in all of the late rounds, four at least.

What looks like a leak for as long as there are calls, such as a cache with more entries than
that, is called one: a rule on numbers cannot know. What fades but had not stopped, and what
grew in steps the next of which may be still to come, is unclear.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from pytest_memguard.judge.early_verdict import FLAT_SHARE
from pytest_memguard.judge.lasting_growth import (
    LEAST_CALLS,
    STEADY_SHARE,
    fades,
    full_after,
    is_enough,
    rate_at_limit,
    rate_of_leak,
)
from pytest_memguard.judge.rounds import (
    allowance,
    calls_of,
    evened,
    last,
    latest,
    levels_of,
    signals_of,
)
from pytest_memguard.judge.slopes import NOT_FALLING, GrowthEstimate, growth_of
from pytest_memguard.judge.stepped_growth import is_pausing, steps_of
from pytest_memguard.leaks import Rate, Round, Verdict

EVEN_SHARE: Final = 0.7
"""Share of the highest rate of a round that the lowest has where growth is even."""
CONFIRMED_SHARE: Final = 0.7
"""Share of the growth expected of a longer round that must be there."""
SHORT_ROUND_CALLS: Final = 6
"""Rounds of more calls than this tell growth per call from growth per look by themselves."""


def leaking_rates(
    rounds: Sequence[Round], least_calls: int = LEAST_CALLS, *, at_limit: bool = False
) -> list[Rate]:
    """The signals that leak by all that is known so far, the most telling first.

    Args:
        rounds: all so far, after the warm-up.
        least_calls: fewer than usual where every call does harm.
        at_limit: whether growth has reached the limit of what a leak may use up.
    """
    found = []
    for signal in signals_of(rounds):
        rate = rate_of_leak(rounds, signal, least_calls)
        if rate is None and at_limit:
            rate = rate_at_limit(rounds, signal)
        if rate is not None:
            found.append(rate)
    return found


def final(
    rounds: Sequence[Round],
    stopped: str,
    least_calls: int = LEAST_CALLS,
    *,
    at_limit: bool = False,
) -> Verdict:
    """The verdict when no further calls are made.

    Args:
        rounds: all there are, after the warm-up.
        stopped: why there are no more, in words that follow on a comma.
        least_calls: fewer than usual where so much is lost per call that more would do harm.
        at_limit: whether growth has reached the limit of what a leak may use up.
    """
    calls = calls_of(rounds)
    tail = latest(rounds)
    over = calls_of(tail)
    leaking = leaking_rates(rounds, least_calls, at_limit=at_limit)
    if leaking:
        return Verdict(state="leaking", calls=over, rates=tuple(leaking), rounds=tuple(rounds))
    if not is_enough(tail, least_calls):
        made = f"{calls} calls" if calls else "the first calls alone"
        reason = f"{made} are too few to tell, {stopped}"
        return Verdict(state="unclear", calls=calls, rounds=tuple(rounds), reason=reason)
    grown = [
        growth_of(tail, signal)
        for signal in signals_of(rounds)
        if levels_of(tail, signal)[-1] > allowance(signal, over)
    ]
    lasting = [
        g for g in grown if g.trend >= (STEADY_SHARE if fades(rounds, g) else NOT_FALLING)
    ]
    reason = _why_unclear(rounds, lasting, grown)
    if reason:
        return Verdict(
            state="unclear",
            calls=calls,
            rates=tuple(growth.rate for growth in lasting),
            rounds=tuple(rounds),
            reason=f"{reason}, {stopped}",
        )
    reason = (
        f"{grown[0].rate.signal} grew by less and less"
        if grown
        else f"hardly anything was added in the last {over} calls"
    )
    return Verdict(
        state="settling", calls=calls, rounds=tuple(rounds), reason=f"{reason}, {stopped}"
    )


def _why_unclear(
    rounds: Sequence[Round], lasting: Sequence[GrowthEstimate], grown: Sequence[GrowthEstimate]
) -> str:
    """Why growth that is no leak for sure may be one; nothing if it was seen to end."""
    if lasting:
        whole = growth_of(evened(rounds), lasting[0].rate.signal)
        return (
            f"{whole.rate.signal} moved by {whole.lowest:.3g} to {whole.highest:.3g} a call, "
            "too unevenly to tell"
        )
    late = last(rounds, FLAT_SHARE * calls_of(rounds), 1)
    for growth in grown:
        signal = growth.rate.signal
        if levels_of(late, signal)[-1] > allowance(signal, calls_of(late)):
            return f"{signal} grew by less and less, but had not stopped"
    for signal in signals_of(rounds):
        since = rounds[full_after(rounds, signal) :]
        if is_pausing(since, signal):
            rest = calls_of(since) - steps_of(since, signal)[-1].end
            return f"{signal} grew in steps, the last of them {rest} calls before the end"
    return ""


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
    if moved >= CONFIRMED_SHARE * rate.per_call * longer.calls:
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

    glibc's thread cache (tcache) holds up to seven freed blocks of each size and counts them as
    used. Calls that need blocks of many sizes fill it over hundreds of calls. No allocation
    stays then, and the C heap alone grows, by another amount in each round.

    Args:
        verdict: leaking.
    """
    if any(rate.signal != "C heap" for rate in verdict.rates):
        return verdict
    growth = growth_of(latest(verdict.rounds), "C heap")
    if growth.lowest >= EVEN_SHARE * growth.highest:
        return verdict
    return replace(
        verdict,
        state="unclear",
        reason=f"C heap grew by {growth.lowest:.3g} to {growth.highest:.3g} a call, but no "
        "allocation was found that stays: the allocator's thread cache may keep freed blocks",
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
