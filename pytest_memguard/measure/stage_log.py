"""Measures the stages of a test, and adds up the runs of each."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from math import inf
from typing import NamedTuple, Protocol

from pytest_memguard.judge.peak_bounds import higher, marked_peak
from pytest_memguard.measure import stage_host
from pytest_memguard.measure.recorder import Recorder
from pytest_memguard.measure.region import Region
from pytest_memguard.model.measurements import Budget, Peak


class BoundaryMarker(Protocol):
    """Sets boundaries in a stream of allocations that is being written."""

    def mark(self) -> int:
        """Set a boundary, and return its number."""


class StageSum:
    """The sum of the runs of one stage, in bytes and seconds."""

    __slots__ = (
        "ceiling",
        "ceilings",
        "count",
        "cumul",
        "delta",
        "high",
        "highest",
        "peaks",
        "seconds",
        "windows",
    )

    def __init__(self, meters: int) -> None:
        self.count = 0
        self.delta = 0
        self.cumul = 0
        self.seconds = 0.0
        self.peaks = [0] * meters
        self.ceilings = [0.0] * meters
        self.high = 0
        self.ceiling = 0.0
        self.highest: tuple[int, int] | None = None
        self.windows: list[tuple[int, int]] = []

    def add(
        self, region: Region, slack: int, start_level: int, window: tuple[int, int] | None
    ) -> None:
        """Add one run."""
        self.count += 1
        self.delta += region.growth()
        self.cumul = region.after[0] - start_level
        self.seconds += region.seconds
        unseen = region.unseen()
        high = region.rise() + slack + region.hidden()
        self.high = max(self.high, high)
        self.ceiling = max(self.ceiling, inf if unseen is None else high + unseen)
        if window is not None:
            self.windows.append(window)
            if self.highest is None or region.rise() > self.peaks[0]:
                self.highest = window
        self.peaks = [max(peak, region.rise(i)) for i, peak in enumerate(self.peaks)]
        self.ceilings = [max(c, _ceiling(region, i)) for i, c in enumerate(self.ceilings)]


def _ceiling(region: Region, meter: int) -> float:
    """Bytes that the peak of a region cannot be above."""
    unseen = region.unseen(meter)
    return inf if unseen is None else region.rise(meter) + unseen


class StageRun(NamedTuple):
    """One run of a stage, while it lasts."""

    path: str
    budget: Budget | None
    region: Region
    slack: int
    tracker: BoundaryMarker | None
    first: int
    fresh: bool


class StageLog:
    """The stages of one test, in the order in which they were first entered.

    Args:
        recorder: measures them.
        slack: returns the bytes of slack, given the smallest limit on the stage that is about
            to begin, or ``None`` if it has no limit.
        before_first: called before the first stage.
        warn: share of a budget above which to warn.
    """

    def __init__(
        self,
        recorder: Recorder,
        slack: Callable[[int | None], int],
        before_first: Callable[[], None] | None = None,
        warn: float | None = None,
    ) -> None:
        self.recorder = recorder
        self._slack = slack
        self._before_first = before_first
        self._warn = warn
        self.sums: dict[str, StageSum] = {}
        self.inline: dict[Budget, Peak] = {}
        self.unfinished = 0
        self.start_level = 0
        self.tracker: BoundaryMarker | None = None
        self._lock = threading.Lock()

    def enter(self, path: str, budget: Budget | None) -> StageRun:
        """Begin a run of a stage."""
        with self._lock:
            fresh = path not in self.sums
            if self._before_first is not None and not self.sums:
                self._before_first()
            self.unfinished += 1
            if fresh:
                self.sums[path] = StageSum(len(self.recorder.meters))
        slack = self._slack(budget.limit if budget is not None else None)
        region = self.recorder.open(collect=True, first=fresh)
        tracker = self.tracker
        if budget is not None:
            budget = replace(budget, stage=path, warn=self._warn)
        first = tracker.mark() if tracker else -1
        if stage_host.limits is not None:
            stage_host.limits.enter(path, budget)
        return StageRun(path, budget, region, slack, tracker, first, fresh)

    def leave(self, run: StageRun) -> None:
        """End a run of a stage."""
        if stage_host.limits is not None:
            stage_host.limits.leave(run.path)
        same = run.tracker is not None and run.tracker is self.tracker
        window = (run.first, run.tracker.mark()) if run.tracker and same else None
        self.recorder.close(run.region, collect=True, first=run.fresh)
        with self._lock:
            self.unfinished -= 1
            self.sums[run.path].add(run.region, run.slack, self.start_level, window)
            if run.budget is not None:
                region, method = run.region, self.recorder.meters[0].method
                slack = run.slack + region.hidden()
                peak = marked_peak(region.rise(), slack, method, unseen=region.unseen())
                self.inline[run.budget] = higher(self.inline.get(run.budget), peak)

    def paths_of(self, budget: Budget) -> list[str]:
        """Return the stages that a budget is on, as far as they have run."""
        return [path for path in self.sums if _is_stage(path, budget)]

    def forget_windows(self) -> None:
        """Forget the boundaries of a stream that was read."""
        for stage_sum in self.sums.values():
            stage_sum.windows.clear()
            stage_sum.highest = None


def _is_stage(path: str, budget: Budget) -> bool:
    name = budget.stage or ""
    return path == name or (budget.baseline_value is None and path.endswith(f"/{name}"))
