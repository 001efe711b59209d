"""The verdict on a Node.js program: what it keeps decides, and garbage does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pytest_memguard.sizes import MIB
from pytest_memguard.watch_levels import KEPT_SIGNALS, WatchSignal
from pytest_memguard.watches import Doubt, GrowthState, SignalGrowth, WatchTrace

_EXPLAINED_SHARE: Final = 0.5
"""Share of a growth that something else has to have risen by to explain it."""
_ROOM: Final = 8 * MIB
"""Resident memory may rise by so much without the heap: by code, stacks, and free pages."""
_STEADY: Final = frozenset(("flat", "plateau"))


def uncollected(
    trace: WatchTrace,
    life: int,
    start: float,
    end: float,
    signals: Mapping[WatchSignal, SignalGrowth],
) -> list[WatchSignal]:
    """Return the signals that grow by what may be garbage, or by what V8 has reserved.

    Resident memory does so if the heap and external memory rise about as much, or if it rises
    by little; and what they keep does if it has risen in heaps that were never collected.

    Args:
        trace: the samples.
        life: the process, by its place among the lives.
        start: seconds to the end of the warm-up.
        end: seconds to the end.
        signals: what each signal shows.
    """
    if "heap_used" not in signals:
        return []

    def risen(signal: WatchSignal) -> float:
        levels = [level for _, level in trace.points(signal, life, start, end)]
        return levels[-1] - levels[0] if levels else 0.0

    growing = [name for name, one in signals.items() if one.state == "growing"]
    found: list[WatchSignal] = [
        signal
        for signal, kept in KEPT_SIGNALS.items()
        if signal in growing and risen("uncollected") >= _EXPLAINED_SHARE * risen(kept)
    ]
    if "rss" in growing and not (set(growing) & set(KEPT_SIGNALS)) - set(found):
        rise = risen("rss")
        explained = risen("heap_total") + risen("external")
        if rise - explained < _ROOM or explained >= _EXPLAINED_SHARE * rise:
            found.append("rss")
    return found


def node_state(signals: Mapping[WatchSignal, SignalGrowth]) -> tuple[GrowthState, Doubt]:
    """Return the verdict on a program of which no signal grows, and why there is none.

    Resident memory that is uneven decides nothing where it is known what is kept: V8 takes
    and returns pages as it likes.
    """
    kept = [signals[signal] for signal in KEPT_SIGNALS if signal in signals]
    if not kept:
        rss = signals.get("rss")
        return "undecided", "short" if rss is None or rss.doubt == "short" else "unreported"
    for one in kept:
        if one.state not in _STEADY:
            return "undecided", one.doubt
    rss = signals.get("rss")
    states = {one.state for one in (*kept, *([rss] if rss is not None else []))}
    return ("plateau" if "plateau" in states else "flat"), ""
