"""What a test author holds in their hand: stages, measurements, single readings."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import pytest

from pytest_memguard.clock import Clock
from pytest_memguard.errors import ConfigError, Unmeasurable
from pytest_memguard.judge.budget import judge
from pytest_memguard.judge.slack_thresholds import ignored_slack, tracker_threshold
from pytest_memguard.measure.instruments import Instruments
from pytest_memguard.measure.recorder import Recorder
from pytest_memguard.measure.stage_log import StageLog
from pytest_memguard.measure.stages import Host, Stage, stage_budget
from pytest_memguard.model.leaks import Verdict
from pytest_memguard.model.metrics import METRICS, RSS
from pytest_memguard.plugin.found import fail_with
from pytest_memguard.plugin.items import ItemHooks
from pytest_memguard.plugin.keys import ITEMS, START
from pytest_memguard.plugin.measured_block import Measure
from pytest_memguard.plugin.options import is_off
from pytest_memguard.plugin.repeating.function_leaks import FunctionLeaks
from pytest_memguard.probes.heap import HeapTracker
from pytest_memguard.probes.process import Snapshot, take_snapshot
from pytest_memguard.sizes import MIB

if TYPE_CHECKING:
    from pytest_memguard.recording.watch import Recording


class MemGuard:
    """The ``memguard`` fixture.

    Args:
        items: the hooks that measure this test; ``None`` where nothing is measured.
        leaks: checks functions for leaks; ``None`` where checks are switched off.
        off: whether budgets are switched off.
    """

    def __init__(
        self, items: ItemHooks | None, leaks: FunctionLeaks | None, *, off: bool
    ) -> None:
        self._leaks = leaks
        repeated = items is not None and items.tests.paused
        self._measurement = items.tests.measured_now() if items is not None else None
        self._instruments = items.instruments if items is not None else None
        self._host: Host | None = self
        if self._measurement is not None and items is not None:
            self._host = items.tests
        elif off or repeated:  # the stages of a repetition are not reported
            self._host = None
        self._may_fill = not repeated  # filler in a repeated test looks like a leak
        self.wants_stages = True
        self._own: Instruments | None = None
        self._recorders: dict[str, Recorder] = {}
        self._log: StageLog | None = None

    def stage(self, name: str, *, budget: object = None) -> Stage:
        """Name a part of the test: ``with memguard.stage("parse"):`` or as a decorator.

        Args:
            name: what the report calls it; stages within stages are called ``load/parse``.
            budget: a size; the test fails when the stage's peak RSS rises above it.

        Raises:
            ConfigError: if the name is empty or the budget is not a size.
        """
        limit = stage_budget(name, budget)
        return Stage(name, limit, self._host)

    def stage_log(self) -> StageLog:
        """Return the log of stages where only the fixture measures the test."""
        if self._log is None:
            recorder = self._recorder(RSS.name)
            recorder.start()
            self._log = StageLog(recorder, self._slack)
        return self._log

    @contextlib.contextmanager
    def measure(self, metric: str = RSS.name) -> Iterator[Measure]:
        """Measure a block, for assertions of one's own: ``assert m.peak < "50 MB"``.

        Args:
            metric: rss, heap, python, tree, or that of a probe which a plugin has.

        Raises:
            ConfigError: if there is no such metric.
            Unmeasurable: if it cannot be measured here, or was disturbed.
        """
        if metric not in METRICS:
            msg = f"metric {metric!r} is not one of {', '.join(METRICS)}"
            raise ConfigError(msg)
        measure = Measure(metric)
        if METRICS[metric].is_traced:
            yield from self._measure_heap(measure)
        else:
            yield from self._measure_level(measure)

    def snapshot(self) -> Snapshot:
        """A single reading of the process."""
        return take_snapshot()

    @staticmethod
    def watch(
        process: object,
        interval: float = 0.1,
        *,
        children: bool = True,
        warm_up: float | None = None,
    ) -> AbstractContextManager[Recording]:
        """Watch another program during a block: ``with memguard.watch(server) as recording:``.

        Args:
            process: a process number, or an object with a ``pid``.
            interval: seconds between two samples.
            children: whether its descendants count.
            warm_up: seconds to leave out of the verdict; a third of the time if ``None``.

        Raises:
            ConfigError: if an argument makes no sense.
            Unmeasurable: if the process is not there, or must not be watched.
        """
        from pytest_memguard.recording.watch import watch  # few tests use it

        return watch(process, interval, children=children, warm_up=warm_up)

    def check_leaks(
        self, function: Callable[..., object], /, *args: object, **kwargs: object
    ) -> Verdict:
        """Call a function again and again; fail if it keeps more with every call.

        Args:
            function: what to call; the first call's exception is passed on.
            args: its arguments.
            kwargs: its named arguments.

        Returns:
            The verdict, unless it is leaking.

        Raises:
            LeakDetected: if it leaks.
        """
        if self._leaks is None:
            function(*args, **kwargs)
            return Verdict(state="undecided", calls=0, reason="leak checks are off (--no-mem)")
        return self._leaks.check(function, args, kwargs)

    def close(self) -> None:
        """Let go of what is ours; judge stages that are judged nowhere else.

        Raises:
            BudgetExceeded: if one of them exceeded its budget.
        """
        for recorder in self._recorders.values():
            recorder.stop()
        if self._own is not None:
            self._own.close()
        if self._log is not None:
            peaks = {b: peak for b, peak in self._log.inline.items() if b.limit}
            fail_with(finding for b, peak in peaks.items() if (finding := judge(b, peak)))

    def _tools(self) -> Instruments:
        if self._instruments is None:
            self._instruments = self._own = Instruments()
        return self._instruments

    def _slack(self, limit: int | None) -> int:
        tools = self._tools()
        if limit is None or tools.slack_estimator is None:
            return 0
        tools.settle(ignored_slack(limit))
        level, enough = tools.resident.level(), ignored_slack(limit)
        return tools.slack_estimator.bound(
            level, enough, tracker_threshold(limit), fill=self._may_fill
        )

    def _measure_level(self, measure: Measure) -> Iterator[Measure]:
        recorder, index = self._recorder_for(measure.metric)
        meter = recorder.meters[index]
        if meter.metric.is_resident and meter.lost:
            raise Unmeasurable(meter.lost)
        own = recorder in self._recorders.values()
        if own:
            recorder.start()
        slack = self._slack(MIB) if meter.metric.is_resident else 0
        region = recorder.open(collect=True)
        try:
            yield measure
        finally:
            recorder.close(region, collect=True)
            rise, unseen = region.rise(index), region.unseen(index)
            if meter.metric.is_resident:
                slack += region.hidden()
            bound = None if unseen is None else rise + slack + unseen
            measure.fill(rise, bound, region.growth(index), region.seconds)
            if own and not recorder.busy:
                recorder.stop()
        if meter.lost:
            raise Unmeasurable(meter.lost)

    def _recorder_for(self, metric: str) -> tuple[Recorder, int]:
        """The test's own recorder if it can: regions of one mark must know each other."""
        if self._measurement is not None:
            recorder = self._measurement.detail_now().recorder
            for index, meter in enumerate(recorder.meters):
                if meter.metric.name == metric and meter.running:
                    return recorder, index
        return self._recorder(metric), 0

    def _recorder(self, metric: str) -> Recorder:
        if metric not in self._recorders:
            tools = self._tools()
            is_resident = METRICS[metric].is_resident
            meter = tools.resident if is_resident else tools.probes[metric]()
            self._recorders[metric] = Recorder([meter], lambda: tools.settle(MIB))
        return self._recorders[metric]

    def _measure_heap(self, measure: Measure) -> Iterator[Measure]:
        if self._measurement is not None:
            self._measurement.detail_now().yield_tracker()
        tracker = HeapTracker(self._tools().folder)
        start = Clock.seconds()
        try:
            yield measure
        finally:
            seconds = Clock.seconds() - start
            file = tracker.stop()
            measure.fill(file.peak, file.peak, file.left, seconds)
            file.close()


def make(request: pytest.FixtureRequest) -> MemGuard:
    """The fixture's value for one test."""
    config = request.config
    start = config.stash.get(START, None)
    if start is not None:
        start()
    items, off = config.stash.get(ITEMS, None), is_off(config)
    leaks = None if off or items is None else FunctionLeaks(config, request.node, items)
    return MemGuard(items, leaks, off=off)
