"""The verdict on a Node.js program: what it keeps decides, and garbage does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pytest_memguard.watches import (
    KEPT_SIGNALS,
    Doubt,
    GrowthState,
    SignalGrowth,
    WatchSignal,
    WatchTrace,
)

_EXPLAINED_SHARE: Final = 0.5
"""Share of the growth of resident memory that V8's own growth has to explain."""
_STEADY: Final = frozenset(("flat", "plateau"))


def is_uncollected(
    trace: WatchTrace,
    life: int,
    start: float,
    end: float,
    signals: Mapping[WatchSignal, SignalGrowth],
) -> bool:
    """Return whether resident memory grows by what V8 has reserved or not yet collected.

    That is so if the heap and external memory rise about as much, and what was left of both
    after full collections does not.

    Args:
        trace: the samples.
        life: the process, by its place among the lives.
        start: seconds to the end of the warm-up.
        end: seconds to the end.
        signals: what each signal shows.
    """
    rss = signals.get("rss")
    if rss is None or rss.state != "growing" or "heap_used" not in signals:
        return False
    if any(signals[kept].state == "growing" for kept in KEPT_SIGNALS if kept in signals):
        return False
    risen = _risen(trace, "rss", life, start, end)
    explained = sum(
        _risen(trace, signal, life, start, end) for signal in ("heap_total", "external")
    )
    return explained >= _EXPLAINED_SHARE * risen


def _risen(
    trace: WatchTrace, signal: WatchSignal, life: int, start: float, end: float
) -> float:
    levels = [level for _, level in trace.points(signal, life, start, end)]
    return levels[-1] - levels[0] if levels else 0.0


def node_state(signals: Mapping[WatchSignal, SignalGrowth]) -> tuple[GrowthState, Doubt]:
    """Return the verdict on a program of which no signal grows, and why there is none.

    Resident memory that is uneven decides nothing where it is known what is kept: V8 takes
    and returns pages as it likes.
    """
    kept = [signals[signal] for signal in KEPT_SIGNALS if signal in signals]
    if not kept:
        rss = signals.get("rss")
        return "unclear", "short" if rss is None or rss.doubt == "short" else "unreported"
    for one in kept:
        if one.state not in _STEADY:
            return "unclear", one.doubt
    rss = signals.get("rss")
    states = {one.state for one in (*kept, *([rss] if rss is not None else []))}
    return ("plateau" if "plateau" in states else "flat"), ""
