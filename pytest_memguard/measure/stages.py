"""Named stages of a test: nested, repeated, and what each added."""

from __future__ import annotations

import functools
import inspect
import sys
import threading
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import replace
from math import inf
from types import TracebackType
from typing import Any, NamedTuple, Protocol, TypeVar, cast

from pytest_memguard.errors import ConfigError
from pytest_memguard.judge.peak_bounds import higher, marked_peak
from pytest_memguard.measure import stage_host
from pytest_memguard.measure.recorder import Recorder
from pytest_memguard.measure.region import Region
from pytest_memguard.model import Budget, Peak
from pytest_memguard.units import parse_size

Function = TypeVar("Function", bound=Callable[..., Any])

_open: ContextVar[tuple[EnteredStage, ...]] = ContextVar("memguard_stages", default=())


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


class EnteredStage:
    """A stage that was entered; it has no log if no test is measured."""

    __slots__ = ("log", "name", "run")

    def __init__(self, name: str, log: StageLog | None, run: StageRun | None) -> None:
        self.name = name
        self.log = log
        self.run = run


class Host(Protocol):
    """Measures a test; it need not have a log before the first stage."""

    @property
    def wants_stages(self) -> bool:
        """Whether stages without a budget are measured too."""

    def stage_log(self) -> StageLog | None:
        """Return the log for stages; ``None`` if no test is running."""


class Stage:
    """A named stage, as a context manager or a decorator; see `stage`."""

    __slots__ = ("_budget", "_entered", "_host", "_name")

    def __init__(self, name: str, budget: Budget | None, host: Host | None = None) -> None:
        self._name = name
        self._budget = budget
        self._host = host
        self._entered: list[EnteredStage] = []

    def __enter__(self) -> None:
        host = self._host
        current: Host | None = stage_host.current
        if host is None and current is not None:
            host = current if self._budget is not None or current.wants_stages else None
        log = host.stage_log() if host is not None else None
        if log is None:
            self._entered.append(EnteredStage(self._name, None, None))
            return
        # what another test has left open is none of this one's
        outer = tuple(entry for entry in _open.get() if entry.log is log)
        path = "/".join([*(entry.name for entry in outer), self._name])
        entry = EnteredStage(self._name, log, log.enter(path, self._budget))
        self._entered.append(entry)
        _open.set((*outer, entry))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._entered:
            msg = f"stage {self._name!r} is left more often than it was entered"
            raise RuntimeError(msg)
        # one object may be used by several threads or tasks: leave the run of this one
        outer = _open.get()
        mine = (entry for entry in reversed(outer) if entry in self._entered)
        entry = next(mine, self._entered[-1])
        self._entered.remove(entry)
        if entry.log is not None and entry.run is not None and not sys.is_finalizing():
            entry.log.leave(entry.run)
            _open.set(tuple(other for other in outer if other is not entry))

    def __call__(self, function: Function) -> Function:
        """Decorate a function, a coroutine function or a generator function."""
        if inspect.isasyncgenfunction(function):
            msg = (
                f"a stage cannot decorate the asynchronous generator {function.__qualname__}: "
                "write 'with stage(...)' in its body"
            )
            raise ConfigError(msg)
        again = functools.partial(Stage, self._name, self._budget, self._host)
        return cast("Function", functools.wraps(function)(_wrapper(function, again)))


def _wrapper(function: Callable[..., Any], again: Callable[[], Stage]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        async def run_coroutine(*args: Any, **kwargs: Any) -> Any:
            with again():
                return await function(*args, **kwargs)

        return run_coroutine
    if inspect.isgeneratorfunction(function):

        def run_generator(*args: Any, **kwargs: Any) -> Any:
            with again():
                return (yield from function(*args, **kwargs))

        return run_generator

    def run(*args: Any, **kwargs: Any) -> Any:
        with again():
            return function(*args, **kwargs)

    return run


def stage(name: str, *, budget: object = None) -> Stage:
    """Name a part of a test, from any code, as a context manager or a decorator.

    If no test is being measured this does nothing, and costs next to nothing. Stages within
    stages are called ``load/parse``; several runs of a stage are added up.

    Args:
        name: what the report calls it.
        budget: a size; the test fails when the stage's peak RSS rises above it.

    Raises:
        ConfigError: if the name is empty or the budget is not a size.
    """
    return Stage(name, stage_budget(name, budget))


def stage_budget(name: str, budget: object) -> Budget | None:
    """Check a stage's arguments.

    Raises:
        ConfigError: if the name is empty or the budget is not a size.
    """
    if not str(name).strip() or not isinstance(name, str):
        msg = f"a stage needs a name, not {name!r}"
        raise ConfigError(msg)
    if budget is None:
        return None
    try:
        limit = parse_size(budget)
    except ConfigError as error:
        msg = f"stage {name!r}: budget {error}"
        raise ConfigError(msg) from None
    return Budget(limit=limit, stage=name, where=f"stage({name!r}, budget=...)")
