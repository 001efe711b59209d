"""Whether a signal of a program grows under a steady load, or rises and then stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from math import sqrt
from statistics import fmean, median, stdev
from typing import Final

from pytest_memguard.judge.slopes import T_975, T_999, quantile
from pytest_memguard.sizes import KIB
from pytest_memguard.values import dataclass
from pytest_memguard.watch_levels import WatchSignal
from pytest_memguard.watches import Doubt, GrowthState, SignalGrowth

Points = Sequence[tuple[float, float]]
"""Seconds and levels, in order."""
WARM_UP_SHARE: Final = 1 / 3
"""Share of the time that is left out where the user does not name a warm-up."""
LEAST_SAMPLES: Final = 16
"""The least number of samples after the warm-up."""
MOST_WINDOWS: Final = 12
"""Into so many windows the time after the warm-up is divided, if there are samples enough."""
LEAST_WINDOWS: Final = 8
FLOORS: Final[Mapping[WatchSignal, float]] = {
    "rss": 512.0 * KIB,  # half an arena of Python's: less may be the last page of something
    "fds": 1.0,
    "threads": 1.0,
    "connections": 1.0,
    "children": 1.0,
    "heap_used": 256.0 * KIB,  # code that V8 compiles, and what it notes of types
    "external": 256.0 * KIB,
}
"""Growth after the warm-up up to which a signal is flat, however long it is watched."""
FLOOR_SHARE: Final = 0.002
"""The same, as a share of its level."""
STEADY_SHARE: Final = 0.5
"""Least ratio of the growth in the later half of the windows to that in the earlier half."""
LAST_SHARE: Final = 0.5
"""Least ratio of the growth in the last third of the windows to that in all of them."""
RISING_SHARE: Final = 0.75
"""Least share of the windows with growth, if it is even."""
LEAST_STEPS: Final = 5
"""The least number of windows with growth, if it comes in steps and never falls."""
_HOUR: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """The levels of a signal after its warm-up, a median for each window of time."""

    levels: tuple[float, ...]
    """The levels."""
    seconds: float
    """From the middle of one window to that of the next."""
    earlier: float
    """The highest level of the warm-up; the first level, if there was none."""
    first: float
    """The level at the very start."""
    floor: float
    """Growth up to which the signal is flat."""

    @property
    def moves(self) -> list[float]:
        """Growth from each window to the next."""
        return [b - a for a, b in pairwise(self.levels)]

    @property
    def moved(self) -> float:
        """Growth from the first window to the last."""
        return self.levels[-1] - self.levels[0]


def signal_growth(
    points: Points, signal: WatchSignal, warm_up: float | None = None
) -> SignalGrowth:
    """Judge the trace of one signal of one process.

    Args:
        points: seconds and levels.
        signal: the signal.
        warm_up: seconds to leave out; a third of the time if ``None``.
    """
    windows = windows_of(points, signal, warm_up)
    if windows is None:
        level = int(points[-1][1]) if points else 0
        return SignalGrowth(
            signal=signal, state="undecided", doubt="short", before=level, after=level
        )
    state, doubt = _state(windows)
    moves = windows.moves
    mean = fmean(moves)
    half = quantile(T_975, len(moves) - 1) * stdev(moves) / sqrt(len(moves))
    per_hour = _HOUR / windows.seconds
    found = SignalGrowth(
        signal=signal,
        state=state,
        per_hour=mean * per_hour,
        low=(mean - half) * per_hour,
        high=(mean + half) * per_hour,
        before=round(windows.levels[0]),
        after=round(windows.levels[-1]),
        doubt=doubt,
    )
    # growth in steps that never falls is not below zero
    return replace(found, low=max(found.low, 0.0)) if state == "growing" else found


def windows_of(points: Points, signal: WatchSignal, warm_up: float | None) -> Windows | None:
    """Return the windows of a trace; ``None`` if it is too short for a verdict."""
    if not points:
        return None
    start, end = points[0][0], points[-1][0]
    from_here = start + ((end - start) * WARM_UP_SHARE if warm_up is None else warm_up)
    tail = [point for point in points if point[0] >= from_here]
    if len(tail) < LEAST_SAMPLES:
        return None
    count = min(MOST_WINDOWS, max(LEAST_WINDOWS, len(tail) // 2))
    bounds = [round(n * len(tail) / count) for n in range(count + 1)]
    groups = [tail[a:b] for a, b in pairwise(bounds)]
    levels = tuple(median(level for _, level in group) for group in groups)
    middles = [fmean(at for at, _ in group) for group in groups]
    seconds = (middles[-1] - middles[0]) / (count - 1)
    if seconds <= 0:
        return None
    size = max(1, len(tail) // count)
    before = [point for point in points if point[0] < from_here]
    chunks = [before[n : n + size] for n in range(0, len(before), size)]
    return Windows(
        levels=levels,
        seconds=seconds,
        earlier=max((median(y for _, y in chunk) for chunk in chunks), default=levels[0]),
        first=median(y for _, y in (chunks[0] if chunks else groups[0])),
        floor=max(FLOORS[signal], FLOOR_SHARE * levels[0]),
    )


def _state(windows: Windows) -> tuple[GrowthState, Doubt]:
    levels, floor = windows.levels, windows.floor
    third = len(levels) // 3
    new_ground = max(levels[-third:]) - max(windows.earlier, *levels[:-third])
    if windows.moved <= floor or new_ground <= floor / 4:
        return ("plateau" if min(levels) - windows.first > floor else "flat"), ""
    slows = _slows(windows.moves)
    if not slows and (_is_even(windows) or _is_in_steps(windows)):
        return "growing", ""
    return "undecided", "slowing" if slows else "uneven"


def _slows(moves: Sequence[float]) -> bool:
    """Return whether growth has fallen, or has nearly stopped by the end."""
    half, third = len(moves) // 2, len(moves) // 3
    earlier, later = sum(moves[:half]), sum(moves[-half:])
    due = sum(moves) * third / len(moves)
    return later < STEADY_SHARE * earlier or sum(moves[-third:]) < LAST_SHARE * due


def _is_even(windows: Windows) -> bool:
    """Return whether chance shows such growth at most once in 1,000 times."""
    moves = windows.moves
    error = stdev(moves) / sqrt(len(moves))
    certain = fmean(moves) > error * quantile(T_999, len(moves) - 1)
    return certain and sum(move > 0 for move in moves) >= RISING_SHARE * len(moves)


def _is_in_steps(windows: Windows) -> bool:
    """Return whether it rises in steps, as by arenas of an allocator, and never falls."""
    moves = windows.moves
    steps = sum(move > 0 for move in moves)
    return steps >= LEAST_STEPS and min(moves) >= -windows.floor / 8
