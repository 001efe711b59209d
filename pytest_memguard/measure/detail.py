"""Measures a test with more than the high-water mark: further meters, stages and memray."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from pytest_memguard.allocator.free_lists import clear_free_lists
from pytest_memguard.clock import Clock
from pytest_memguard.judge.slack_thresholds import strictest
from pytest_memguard.measure.judging import PhaseJudge
from pytest_memguard.measure.peaks import Peaks
from pytest_memguard.measure.phase_slack import PhaseSlack
from pytest_memguard.measure.recorder import Recorder
from pytest_memguard.measure.region import Region
from pytest_memguard.measure.stage_log import StageLog
from pytest_memguard.measure.tracking import Tracking
from pytest_memguard.model.measurements import Finding, PhaseName, PhaseReading, StageReading
from pytest_memguard.probes.heap import HeapFile

if TYPE_CHECKING:
    from pytest_memguard.measure.current_test import CurrentTest
    from pytest_memguard.measure.instruments import Instruments
    from pytest_memguard.measure.requirements import Requirements

    Judge: TypeAlias = Callable[[PhaseJudge, PhaseName], list[Finding]]


class DetailedMeasurement:
    """Measures one test with every instrument that its requirements or its stages need.

    Args:
        state: what is known of the test.
        requirements: what it is measured for.
        instruments: the instruments of the process.
        memray_in_use: says why memray must not be used unless a limit needs it, if so.
        judge: asks the checks what there is to say about a phase.
        warn: share above which budgets that stages bring along warn.

    Attributes:
        recorder: has the meters.
        stages: the log its stages go to.
        peaks: works out the peaks from what was measured.
    """

    def __init__(
        self,
        state: CurrentTest,
        requirements: Requirements,
        instruments: Instruments,
        memray_in_use: Callable[[], str],
        judge: Judge,
        warn: float | None = None,
    ) -> None:
        self._ask_checks = judge
        self._state = state
        self._requirements = requirements
        self._instruments = instruments
        self._others = [instruments.probes[name]() for name in requirements.metered]
        meters = [instruments.resident, *self._others]
        self._slack = slack = PhaseSlack(
            state, requirements, instruments, self._is_hooked, self._discount
        )
        self.recorder = Recorder(meters, slack.settle, instruments.collection_watch)
        self.stages = StageLog(
            self.recorder,
            slack.at_stage,
            self._start_drill if requirements.drill else None,
            warn,
        )
        self.peaks = Peaks(state, requirements, self.recorder, self.stages, slack.anywhere)
        self._tracking = Tracking(
            requirements, instruments, memray_in_use, self.stages, state.nodeid
        )

    # Phases

    def go_on(self, region: Region) -> None:
        """Go on in the middle of a phase that was measured with the first meter alone.

        Args:
            region: what is known of it.
        """
        self.stages.start_level = region.levels[0]
        self.recorder.adopt(region)

    def begin(self, phase: PhaseName) -> None:
        """Start measuring a phase."""
        start = Clock.seconds()
        requirements, tracking = self._requirements, self._tracking
        by_phase = requirements.thresholds
        thresholds = needed = by_phase.get(phase)
        if phase == "setup":
            self._collect_garbage()
            if self._stays_hooked(phase) and by_phase:
                needed = strictest(by_phase.values())  # later phases cannot fill what is free
        if thresholds is not None:
            self._slack.tolerance = thresholds.ignore
        if requirements.counts_foreign:
            self._instruments.give_back(self._slack.tolerance)
        slack = 0 if needed is None else self._slack.at_start(needed)
        here = self._state.phase(phase)
        here.slack = slack
        if phase == "call" and thresholds is not None:
            self._instruments.reserve_free_chunks(always=requirements.record)
        names = requirements.metrics_in(phase)
        start_meters = partial(self.recorder.start, names)
        if tracking.wanted(phase, slack, thresholds):
            # inside tracemalloc, never around it: each puts back the allocators it found
            self._slack.hook(start_meters, lambda: tracking.start(phase))
        elif any(m.hooks_allocators and m.metric.name in names for m in self._others):
            self._slack.hook(start_meters)
        else:
            start_meters()
        self._instruments.collection_watch.listen(self.recorder)
        region = here.region = self.recorder.open()
        here.begun, here.foreign = True, self._slack.foreign()
        self.stages.start_level = region.levels[0]
        tracking.mark_begin(phase)
        end = Clock.seconds()
        region.started = end
        self._state.overhead += end - start

    def end(self, phase: PhaseName) -> list[Finding]:
        """Stop measuring a phase, and judge it."""
        start = Clock.seconds()
        self._tracking.mark_end(phase)
        here = self._state.phase(phase)
        region, here.ended = here.region, True
        self.recorder.close(region)
        if not self._instruments.collection_watch.end():
            region.lose_sight()
        self._instruments.release_free_chunks()
        estimator = self._instruments.slack_estimator
        filled = 0
        if estimator is not None:
            filled = 0 if self._stays_hooked(phase) else estimator.release()
            estimator.note_use(region.rise())
        self._slack.settle()  # free pages are no growth
        region.after[0] = self._instruments.resident.level() + filled
        file = self._tracking.stop(phase)
        if phase == "teardown" or not self._requirements.metered_whole:
            self.recorder.stop()
        if phase == "teardown":
            self._collect_garbage()
        found = self._judge(phase, file)
        self._state.findings += found
        self._state.overhead += Clock.seconds() - start
        return found

    def _judge(self, phase: PhaseName, file: HeapFile | None) -> list[Finding]:
        """What was found in a phase, but for what an earlier phase has already said."""
        requirements, tracking, state = self._requirements, self._tracking, self._state
        judge = PhaseJudge(
            phase, self.peaks, self.stages, tracking, file, state.findings, state.stopped
        )
        try:
            note = judge.heap.read(needed=bool(requirements.traced))
            state.notes += [note] if note else []
            tracked = tracking.since == phase and not requirements.traced_whole
            self.peaks.weigh(phase, file, tracked=tracked)
            if requirements.drill:
                judge.heap.drill()
            found = self._ask_checks(judge, phase)
            self._note_what_was_lost(judge)
            return found
        finally:
            if file is not None:
                file.close()
                tracking.boundaries.clear()
                self.stages.forget_windows()
                tracking.note_time()

    def _note_what_was_lost(self, judge: PhaseJudge) -> None:
        """Note that the peak means nothing, unless a finding says so."""
        lost = self._instruments.resident.lost
        if lost and not judge.says_not_measured:
            self._state.notes.append(f"its peak RSS may have been higher: {lost}")

    def _collect_garbage(self) -> None:
        requirements = self._requirements
        if requirements.record:
            clear_free_lists()
        if requirements.collects:
            self._instruments.collect_if_grown(
                self._instruments.resident.level(),
                requirements.tolerance,
                often=requirements.record,
            )

    # What hooks the allocators

    def _is_hooked(self) -> bool:
        """Whether memray or tracemalloc counts what is allocated from now on."""
        hooked = any(meter.hooks_allocators and meter.running for meter in self._others)
        return self._tracking.counts or hooked

    def _stays_hooked(self, phase: PhaseName) -> bool:
        """Whether one of them goes on counting when a phase has ended."""
        requirements = self._requirements
        whole = requirements.traced_whole or requirements.metered_whole
        return phase != "teardown" and whole

    def _discount(self, size: int) -> None:
        """Leave out of what is being measured what was filled meanwhile."""
        self.recorder.discount(size)

    @property
    def no_tracker(self) -> str:
        """Why memray could not be used when it was needed; empty if it could."""
        return self._tracking.problem

    def _start_drill(self) -> None:
        self.recorder.discount(self._slack.hook(self._tracking.start_for_lines))
        problem = self._tracking.problem
        if problem:
            self._state.notes.append(f"the lines of its stages are not known: {problem}")

    def abandon(self) -> None:
        """Stop whatever is still running, after an interrupted test."""
        self._tracking.abandon()
        self._instruments.collection_watch.end()
        self.recorder.stop()

    def yield_tracker(self) -> None:
        """Give the one tracker there can be to the test, unless a budget needs it.

        Raises:
            Unmeasurable: if a budget needs it.
        """
        self._tracking.give_way()

    # What the hooks ask

    def phase_readings(self) -> tuple[PhaseReading, ...]:
        """What was measured, phase by phase."""
        return self.peaks.phase_readings()

    def stage_readings(self) -> tuple[StageReading, ...]:
        """What its stages added up to."""
        return self.peaks.stage_readings()
