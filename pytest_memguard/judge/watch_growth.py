"""Combines the growth of all signals and of all lives of a program into one verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pytest_memguard.judge.steady_growth import WARM_UP_SHARE, signal_growth
from pytest_memguard.watches import SIGNALS, Doubt, Life, WatchGrowth, WatchTrace

_MOST_AT_END: Final = 3
"""So many samples at the end of a process may have seen its memory go."""


def growth_of_watch(
    trace: WatchTrace,
    lives: Sequence[Life],
    warm_up: float | None,
    start: float = 0.0,
    end: float = float("inf"),
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
    """
    found = [
        _growth_of_life(trace, number, life, warm_up, start, end)
        for number, life in enumerate(lives)
    ]
    growing = [one for one in found if one.state == "growing"]
    judged = [one for one in found if one.doubt != "short"]
    candidates = growing or judged or found
    return candidates[-1] if candidates else WatchGrowth(state="unclear", doubt="short")


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
) -> WatchGrowth:
    begin, finish = max(start, life.start), min(end, life.end)
    if life.ended:
        finish = min(
            finish, _before_its_end(trace.points("rss", number, begin, finish), finish)
        )
    left_out = (finish - begin) * WARM_UP_SHARE if warm_up is None else warm_up
    signals = []
    samples = 0
    for signal in SIGNALS:
        points = trace.points(signal, number, begin, finish)
        if points:
            signals.append(signal_growth(points, signal, warm_up))
            samples = max(samples, sum(at >= points[0][0] + left_out for at, _ in points))
    growing = any(one.state == "growing" for one in signals)
    rss = next((one for one in signals if one.signal == "rss"), None)
    state = "growing" if growing else rss.state if rss is not None else "unclear"
    unread: Doubt = "unread" if signals else "short"
    doubt = "" if growing else rss.doubt if rss is not None else unread
    return WatchGrowth(
        state=state,
        signals=tuple(signals),
        seconds=max(0.0, finish - begin - left_out),
        warm_up=min(left_out, max(0.0, finish - begin)),
        samples=samples,
        cpu_seconds=trace.cpu_within(number, begin + left_out, finish),
        pid=life.pid,
        doubt=doubt,
    )
