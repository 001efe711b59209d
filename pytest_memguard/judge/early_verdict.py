"""Ends a leak check early, where nothing grew or growth has stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pytest_memguard.judge.rounds import (
    RESOLUTIONS,
    allowance,
    calls_of,
    is_flat,
    joined,
    last,
    levels_of,
    signals_of,
)
from pytest_memguard.judge.stepped_growth import is_pausing
from pytest_memguard.model.leaks import BYTE_SIGNALS, Round, Signal, Verdict
from pytest_memguard.sizes import format_size

Growths = Mapping[Signal, int]
"""By how much each signal grew."""
_NOTHING: Final[Growths] = {}
FLAT_SHARE: Final = 1 / 3
"""Share of all calls, up to the latest, over which nothing may grow if the check is to end."""
_PASSED_BYTES_PER_CALL: Final[Mapping[Signal, float]] = {"C heap": 6.0}
"""Growth per call that the first rounds tolerate; of signals that are not listed it is 0."""
FLAT_CALLS: Final = 24
"""The least number of these calls."""
FLAT_FLOOR_SHARE: Final = 0.5
"""Share of its floor by which a signal may end above its lowest level in these calls."""


def shows_no_growth(rounds: Sequence[Round]) -> bool:
    """Return whether the latest two of the first rounds show no growth at all.

    glibc's thread cache (tcache) holds up to seven freed blocks of each size and counts them
    as used. A leak of one small block per call shows in eight calls nevertheless, though not
    all of its blocks do.

    Args:
        rounds: the rounds so far, of four calls each.
    """
    latest_two = rounds[-2:]
    if len(latest_two) < 2 or not all(map(is_flat, latest_two)):
        return False
    if not any(moved > 0 for a_round in latest_two for _, moved in a_round.growth):
        return True
    whole = joined(latest_two)
    return all(
        moved
        <= max(
            _PASSED_BYTES_PER_CALL.get(signal, 0.0) * whole.calls, RESOLUTIONS.get(signal, 0)
        )
        for signal, moved in whole.growth
    )


def early_verdict(rounds: Sequence[Round], earlier: Growths = _NOTHING) -> Verdict | None:
    """Return the verdict, if no further calls are needed for it.

    Args:
        rounds: all rounds so far, without the warm-up.
        earlier: by how much signals grew in the calls before these rounds.
    """
    if len(rounds) < 2 or not (is_flat(rounds[-1]) and is_flat(rounds[-2])):
        return None
    calls = calls_of(rounds)
    late = last(rounds, max(FLAT_CALLS, FLAT_SHARE * calls), 2)
    over = calls_of(late)
    if over < FLAT_CALLS:
        return None
    for signal in signals_of(late):
        levels = levels_of(late, signal)
        if levels[-1] - min(levels) > allowance(signal, over, FLAT_FLOOR_SHARE):
            return None
        if is_pausing(rounds, signal, earlier.get(signal, 0)):
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
