"""Rounds of calls: how far signals moved in them, and which rounds a verdict rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Final

from pytest_memguard.model.leaks import Round, Signal

FLOORS: Final[Mapping[Signal, float]] = {
    "blocks": 0.25,  # a leak on every third call must be seen
    "C heap": 12.0,  # bytes; the smallest chunk of malloc takes 24 or 32
    "USS": 400.0,  # bytes; pages come and go for many reasons
    "open files": 0.2,
    "Python threads": 0.2,
    "native threads": 0.2,
    "child processes": 0.2,
    "asyncio tasks": 0.2,
    "uncollectable objects": 0.2,
}
"""Growth per call up to which a signal is flat; the most conclusive signal comes first."""
RESOLUTIONS: Final[Mapping[Signal, int]] = {"USS": 4096}
"""Growth in one round up to which a signal is flat, whatever the number of calls: one page."""
LEAST_ROUNDS: Final = 6
"""The least number of rounds for a verdict of leaking."""
TAIL_SHARE: Final = 2 / 3
"""Share of all calls, up to the latest, that a verdict of leaking rests on."""
TAIL_CALLS: Final = 30
"""The least number of these calls, if so many were made."""


def is_flat(a_round: Round) -> bool:
    """Return whether no signal grew by more than its floor."""
    return all(moved <= allowance(signal, a_round.calls) for signal, moved in a_round.growth)


def latest(rounds: Sequence[Round]) -> Sequence[Round]:
    """Return the rounds that a verdict of leaking rests on.

    A round that was cut short is joined to the one before.

    Args:
        rounds: all rounds so far, without the warm-up.
    """
    return last(evened(rounds), max(TAIL_CALLS, TAIL_SHARE * calls_of(rounds)), LEAST_ROUNDS)


def allowance(signal: Signal, calls: int, share: float = 1.0) -> float:
    """Return how far a signal may move in a number of calls and still be flat."""
    return max(share * FLOORS[signal] * calls, RESOLUTIONS.get(signal, 0))


def last(rounds: Sequence[Round], least_calls: float, least_rounds: int) -> Sequence[Round]:
    """Return the fewest latest rounds that meet both minimums, or all rounds."""
    calls = count = 0
    for a_round in reversed(rounds):
        if calls >= least_calls and count >= least_rounds:
            break
        calls += a_round.calls
        count += 1
    return rounds[len(rounds) - count :]


def evened(rounds: Sequence[Round]) -> list[Round]:
    """Return the rounds, with each that was cut short joined to the one before."""
    found: list[Round] = []
    size = 0  # of the latest that was not cut short
    for a_round in rounds:
        if a_round.calls < size:
            found[-1] = joined((found[-1], a_round))
        else:
            found.append(a_round)
            size = a_round.calls
    return found


def joined(rounds: Sequence[Round]) -> Round:
    """Return all rounds as one."""
    return Round(
        calls=calls_of(rounds),
        growth=tuple((s, sum(r.of(s) or 0 for r in rounds)) for s in signals_of(rounds)),
    )


def signals_of(rounds: Sequence[Round]) -> list[Signal]:
    """Return the signals that were read in every round, the most conclusive first."""
    read = {tuple(signal for signal, _ in r.growth) for r in rounds}  # usually one
    return [signal for signal in FLOORS if all(signal in signals for signals in read)]


def pairs_of(rounds: Sequence[Round], signal: Signal) -> list[tuple[int, int]]:
    """Return the number of calls and the growth of each round."""
    return [(r.calls, r.of(signal) or 0) for r in rounds]


def levels_of(rounds: Sequence[Round], signal: Signal) -> list[int]:
    """Return the level of a signal before and after each round; the first is 0."""
    return list(accumulate((moved for _, moved in pairs_of(rounds, signal)), initial=0))


def calls_of(rounds: Sequence[Round]) -> int:
    """Return the number of calls in all rounds."""
    return sum(a_round.calls for a_round in rounds)
