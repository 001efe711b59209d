"""Combines the growth of all signals and of all lives of a program into one verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from pytest_memguard.judge.node_growth import node_state, uncollected
from pytest_memguard.judge.steady_growth import WARM_UP_SHARE, signal_growth
from pytest_memguard.watch_levels import JUDGED_SIGNALS, KEPT_SIGNALS, WatchSignal
from pytest_memguard.watches import (
    Doubt,
    GrowthState,
    Life,
    SignalGrowth,
    WatchGrowth,
    WatchTrace,
)

_MOST_AT_END: Final = 3
"""So many samples at the end of a process may have seen its memory go."""


def growth_of_watch(
    trace: WatchTrace,
    lives: Sequence[Life],
    warm_up: float | None,
    start: float = 0.0,
    end: float = float("inf"),
    *,
    is_node: bool = False,
) -> WatchGrowth:
    """Judge a watch, or a span of it.

    Each process is judged alone: after a restart memory begins anew. A process that grows
    decides, otherwise the latest one that was watched for long enough.

    Args:
        trace: the samples.
        lives: the processes, in order.
        warm_up: seconds to leave out of each; a third of its time if ``None``.
        start: seconds from the start of the watch to that of the span.
        end: seconds to its end.
        is_node: whether Node.js should have reported its memory.
    """
    found = [
        _growth_of_life(trace, number, life, warm_up, start, end, is_node=is_node)
        for number, life in enumerate(lives)
    ]
    growing = [one for one in found if one.state == "growing"]
    judged = [one for one in found if one.doubt != "short"]
    candidates = growing or judged or found
    return candidates[-1] if candidates else WatchGrowth(state="undecided", doubt="short")


def _before_its_end(points: Sequence[tuple[float, float]], finish: float) -> float:
    """Return when a process still had all its memory: some samples may have seen it go."""
    kept = len(points)
    while (
        kept > max(1, len(points) - _MOST_AT_END) and points[kept - 1][1] < points[kept - 2][1]
    ):
        kept -= 1
    return points[kept - 1][0] if kept < len(points) else finish


def _growth_of_life(
    trace: WatchTrace,
    number: int,
    life: Life,
    warm_up: float | None,
    start: float,
    end: float,
    *,
    is_node: bool,
) -> WatchGrowth:
    begin, finish = max(start, life.start), min(end, life.end)
    if life.ended:
        finish = min(
            finish, _before_its_end(trace.points("rss", number, begin, finish), finish)
        )
    left_out = (finish - begin) * WARM_UP_SHARE if warm_up is None else warm_up
    signals: dict[WatchSignal, SignalGrowth] = {}
    samples = 0
    for signal in JUDGED_SIGNALS:
        points = trace.points(signal, number, begin, finish)
        if points:
            kept = KEPT_SIGNALS.get(signal)
            judged = trace.points(kept, number, begin, finish) if kept else points
            signals[signal] = _of_signal(points, judged, signal, warm_up)
            samples = max(samples, sum(at >= points[0][0] + left_out for at, _ in points))
    for signal in uncollected(trace, number, begin + left_out, finish, signals):
        signals[signal] = replace(signals[signal], state="undecided", doubt="uncollected")
    state, doubt = _state(signals, is_node=is_node)
    return WatchGrowth(
        state=state,
        signals=tuple(signals.values()),
        seconds=max(0.0, finish - begin - left_out),
        warm_up=min(left_out, max(0.0, finish - begin)),
        samples=samples,
        cpu_seconds=trace.cpu_within(number, begin + left_out, finish),
        pid=life.pid,
        doubt=doubt,
    )


def _of_signal(
    points: Sequence[tuple[float, float]],
    judged: Sequence[tuple[float, float]],
    signal: WatchSignal,
    warm_up: float | None,
) -> SignalGrowth:
    """Judge what a signal shows once garbage is left out."""
    if judged:
        return signal_growth(judged, signal, warm_up)
    level = int(points[-1][1])
    return SignalGrowth(
        signal=signal, state="undecided", doubt="uncollected", before=level, after=level
    )


def _state(
    signals: Mapping[WatchSignal, SignalGrowth], *, is_node: bool
) -> tuple[GrowthState, Doubt]:
    """Return the verdict, and why there is none."""
    if any(one.state == "growing" for one in signals.values()):
        return "growing", ""
    if is_node:
        return node_state(signals)
    rss = signals.get("rss")
    if rss is not None:
        return rss.state, rss.doubt
    return "undecided", "unread" if signals else "short"
