"""The leak rule: whether a signal that is read between calls grows with the number of calls.

The rule works on rounds of calls. A round is flat if no signal moved by more than its floor.

**The check ends early** once the latest two rounds are flat, every signal ends close to its
lowest level over the latest third of the calls (24 calls at least), and no signal may have
another step to come (`stepped_growth`). The verdict is clean if all rounds together are flat,
and settling otherwise.

**A signal leaks** if all of the following hold over the latest two thirds of the calls, or the
latest 30 calls if that is more (six rounds and 20 calls at least):

- It grew in every round (USS by more than a page), and by more than its floor per call.
- If it went up and down by chance, rounds as uneven as these would show this growth at most
  once in 10,000 times (Student's t). In fewer than 60 calls chance easily looks regular, so
  there the level must not differ from a straight line by more than 0.4 of a round's growth.
- Its rate does not fall. In the later half of these rounds it is at least 70 % of the rate in
  the earlier half. If it seems to fall from the first round of all to the last (Kendall's tau,
  5 %), it must be 80 % with a confidence of 99.9 %.
- At least half of the growth lies above all levels from before these rounds.

The first two conditions exclude noise, the third growth that fades, and the last a level that
rises and falls.

**Growth may get faster**, for example if each call adds to all that earlier calls have left.
Then even the slowest of these rounds grew by more than the floor per call, and the rate rises
from the first round of all to the last (Kendall's tau, 0.1 %).

**From 60 calls on, growth may be uneven**, in one of three ways:

- The round that grew least grew by more than the floor and by half of the median round; chance
  would show the growth once in 100 times; the rate in the later half is at least 80 % of that
  in the earlier half; and it does not seem to fall, or keeps 80 % over the latest half of all
  calls and does not fall there.
- One or two rounds grew at twice the rate of any other round or more, as where a table doubles,
  and without them all conditions above hold.
- The signal grew in at least four steps (USS: eight) that one rate fits (`stepped_growth`).

**A leak that has used up all that it may** is one if the signal grew in all of the late rounds,
four at least.

Whatever grows like this for as long as calls are made is called a leak, even a cache that holds
more entries than there were calls: numbers alone cannot tell the two apart. Growth that fades
but has not stopped is undecided, and so is growth in steps if the next step may be to come.
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
    pairs_of,
    signals_of,
)
from pytest_memguard.judge.slopes import NOT_FALLING, GrowthEstimate, growth_of
from pytest_memguard.judge.stepped_growth import is_pausing, steps_of
from pytest_memguard.model.leaks import Rate, Round, Verdict, amount_of

_SAME: Final = 0.05
"""Share by which growth per call may differ between rounds that grow by the same."""
_MOSTLY: Final = 2 / 3
"""Least share of such rounds."""
EVEN_SHARE: Final = 0.7
"""Least ratio of the lowest rate of a round to the highest for growth to be even."""
CONFIRMED_SHARE: Final = 0.7
"""Share of the growth expected in a longer round that must be seen in it."""
SHORT_ROUND_CALLS: Final = 6
"""Rounds of more calls than this show whether growth comes with calls or with readings."""


def leaking_rates(
    rounds: Sequence[Round], least_calls: int = LEAST_CALLS, *, at_limit: bool = False
) -> list[Rate]:
    """Return the rates of the signals that leak, the most conclusive signal first.

    Args:
        rounds: all rounds so far, without the warm-up.
        least_calls: the least number of calls; a caller takes fewer if each call does harm.
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
    """Return the verdict when no further calls are made.

    Args:
        rounds: all rounds, without the warm-up.
        stopped: why there are no more, in words that follow a comma.
        least_calls: the least number of calls; a caller takes fewer if each call does harm.
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
        return Verdict(state="undecided", calls=calls, rounds=tuple(rounds), reason=reason)
    grown = [
        growth_of(tail, signal)
        for signal in signals_of(rounds)
        if levels_of(tail, signal)[-1] > allowance(signal, over)
    ]
    lasting = [
        g for g in grown if g.trend >= (STEADY_SHARE if fades(rounds, g) else NOT_FALLING)
    ]
    reason = _why_undecided(rounds, lasting, grown)
    if reason:
        return Verdict(
            state="undecided",
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


def _moved(growth: GrowthEstimate) -> str:
    signal = growth.rate.signal
    low, high = amount_of(signal, growth.lowest), amount_of(signal, growth.highest)
    return f"{signal} moved by {low} to {high} a call"


def _why_undecided(
    rounds: Sequence[Round], lasting: Sequence[GrowthEstimate], grown: Sequence[GrowthEstimate]
) -> str:
    """Return why growth that is not certainly a leak may be one; empty if it has ended."""
    if lasting:
        whole = growth_of(evened(rounds), lasting[0].rate.signal)
        return f"{_moved(whole)}, too unevenly to tell"
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
    """Return the verdict of leaking, or undecided if a round twice as long does not confirm it.

    Something may grow with each reading and not with each call. As long as all rounds have the
    same number of calls, it looks like a leak.

    Args:
        verdict: leaking, from rounds of a few calls each.
        longer: one more round, which is longer.
    """
    rate = verdict.rates[0]
    moved = longer.of(rate.signal) or 0
    if moved >= CONFIRMED_SHARE * rate.per_call * longer.calls:
        return verdict
    return Verdict(
        state="undecided",
        calls=verdict.calls + longer.calls,
        rates=verdict.rates,
        rounds=verdict.rounds,
        reason=f"{rate.signal} grew by {amount_of(rate.signal, rate.per_call)} a call, but by "
        f"{amount_of(rate.signal, moved)} in {longer.calls} calls without a reading in between",
    )


def untraced(verdict: Verdict) -> Verdict:
    """Return the verdict for growth of which the tracker found no allocation.

    glibc's thread cache (tcache) holds up to seven freed blocks of each size and counts them as
    used. Code that needs blocks of many sizes fills it over hundreds of calls. Then no
    allocation stays, and only the C heap grows, by a different amount in each round: such
    growth is undecided, not leaking. Where most rounds grow by the same, the others show what
    grows in steps beside it, such as a table: no tracker sees what a library allocates that has
    asked the dynamic linker for `malloc`.

    Args:
        verdict: leaking.
    """
    if any(rate.signal != "C heap" for rate in verdict.rates):
        return verdict
    growth = growth_of(latest(verdict.rounds), "C heap")
    if growth.lowest >= EVEN_SHARE * growth.highest or _is_mostly_even(verdict):
        return verdict
    return replace(
        verdict,
        state="undecided",
        reason=f"{_moved(growth)}, but no "
        "allocation was found that stays: the allocator's thread cache may keep freed blocks",
    )


def _is_mostly_even(verdict: Verdict) -> bool:
    """Return whether the C heap grows by the same in each call of most rounds."""
    pairs = pairs_of(latest(verdict.rounds), "C heap")
    rates = [moved / calls for calls, moved in pairs]
    same = sum(rate <= (1 + _SAME) * min(rates) for rate in rates)
    return min(rates) > 0 and same >= _MOSTLY * len(rates)


def next_size(done: int) -> int:
    """Return the number of calls of the next round: a sixth of the calls made so far.

    A short round has a multiple of three calls, so that something that leaks in every third
    call shows in each round. A longer round may have any length, so that something that comes
    and goes every three calls does not look flat.

    Args:
        done: the number of calls so far, without the warm-up.
    """
    size = done // 6
    return size if size >= 12 else max(3, size // 3 * 3)
