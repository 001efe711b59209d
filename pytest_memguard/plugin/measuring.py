"""One test from setup to teardown, where a look is not enough: instruments on and off."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import inf
from typing import TYPE_CHECKING

from pytest_memguard.allocator.free_lists import clear_free_lists
from pytest_memguard.clock import Clock
from pytest_memguard.judge.slack_thresholds import (
    FOR_STORED_PEAKS,
    SlackThresholds,
    strictest,
    thresholds_for,
)
from pytest_memguard.measure.recorder import Recorder
from pytest_memguard.measure.region import Region
from pytest_memguard.measure.stages import StageLog
from pytest_memguard.metrics import metric_named
from pytest_memguard.model import BREACHES, Finding, PhaseName, PhaseReading, StageReading
from pytest_memguard.plugin.judging import PhaseJudge
from pytest_memguard.plugin.measured import Measured
from pytest_memguard.plugin.needs import NO_LIMIT_TOLERANCE, Needs
from pytest_memguard.plugin.tracking import Tracking
from pytest_memguard.probes.heap import HeapFile

if TYPE_CHECKING:
    from pytest_memguard.measure.instruments import Instruments
    from pytest_memguard.plugin.plans import Plan


class Measurement:
    """Measures one test.

    Args:
        plan: its budgets; ``None`` if it only takes part in the report.
        instruments: the process's.
        needs: what else is asked for.
        memray_in_use: says why memray must not be used unless asked for, if so.

    Attributes:
        findings: what was found so far.
        notes: what else there is to say of the test.
        stages: the log its stages go to.
        measured: the numbers.
        overhead: seconds spent on measuring.
    """

    def __init__(
        self,
        plan: Plan | None,
        instruments: Instruments,
        needs: Needs,
        memray_in_use: Callable[[], str],
    ) -> None:
        self.overhead = 0.0
        self.findings: list[Finding] = []
        self.notes: list[str] = []
        self._plan = plan
        self._needs = needs
        self._instruments = instruments
        wanted = plan.metered if plan is not None else ()
        self._others = [instruments.probes[name]() for name in wanted]
        meters = [instruments.resident, *self._others]
        self._tolerance = NO_LIMIT_TOLERANCE
        self.recorder = Recorder(meters, self._settle, instruments.collection_watch)
        self.stages = StageLog(
            self.recorder,
            self._stage_slack,
            self._start_drill if needs.drill else None,
            needs.warn,
        )
        self.measured = Measured(plan, needs, self.recorder, self.stages, self._anywhere)
        self._tracking = Tracking(plan, needs, instruments, memray_in_use, self.stages)

    # Phases

    def adopt(self, phase: PhaseName, region: Region, slack: int, *, is_open: bool) -> None:
        """Take over a phase that was measured with the first meter alone.

        Args:
            phase: which.
            region: what is known of it.
            slack: bytes that were free inside the process at its start.
            is_open: whether it still lasts.
        """
        self.measured.regions[phase] = region
        self.measured.slacks[phase] = slack
        if is_open:
            self.stages.start_level = region.levels[0]
            self.recorder.adopt(region)

    def begin(self, phase: PhaseName) -> None:
        """Start measuring a phase."""
        start = Clock.seconds()
        plan, tracking = self._plan, self._tracking
        by_phase = self._needs.thresholds(plan)
        thresholds = needed = by_phase.get(phase)
        if phase == "setup":
            self._collect_garbage()
            if self._stays_hooked(phase) and by_phase:
                needed = strictest(by_phase.values())  # later phases cannot fill what is free
        if thresholds is not None:
            self._tolerance = thresholds.ignore
        slack = 0 if needed is None else self._slack(needed)
        self.measured.slacks[phase] = slack
        if phase == "call" and self._needs.record:
            self._instruments.reserve_free_chunks()
        names = [] if plan is None else [n for n in plan.metered if phase in plan.metered[n]]
        start_meters = partial(self.recorder.start, names)
        if tracking.wanted(phase, slack, thresholds):
            # inside tracemalloc, never around it: each puts back the allocators it found
            self._hook(start_meters, lambda: tracking.start(phase))
        elif any(m.hooks_allocators and m.metric.name in names for m in self._others):
            self._hook(start_meters)
        else:
            start_meters()
        self._instruments.collection_watch.listen(self.recorder)
        region = self.measured.regions[phase] = self.recorder.open()
        self.stages.start_level = region.levels[0]
        tracking.mark_begin(phase)
        end = Clock.seconds()
        region.started = end
        self.overhead += end - start

    def end(self, phase: PhaseName) -> list[Finding]:
        """Stop measuring a phase, and judge it."""
        start = Clock.seconds()
        self._tracking.mark_end(phase)
        region = self.measured.regions[phase]
        self.recorder.close(region)
        if not self._instruments.collection_watch.end():
            region.lose_sight()
        self._instruments.release_free_chunks()
        estimator = self._instruments.slack_estimator
        filled = 0
        if estimator is not None:
            filled = 0 if self._stays_hooked(phase) else estimator.release()
            estimator.note_use(region.rise())
        self._settle()  # free pages are no growth
        region.after[0] = self._instruments.resident.level() + filled
        file = self._tracking.stop(phase)
        if phase == "teardown" or self._plan is None or not self._plan.metered_whole:
            self.recorder.stop()
        if phase == "teardown":
            self._collect_garbage()
        found = self._judge(phase, file)
        self._say_what_was_lost(found)
        self.findings += found
        self.overhead += Clock.seconds() - start
        return found

    def _judge(self, phase: PhaseName, file: HeapFile | None) -> list[Finding]:
        """What was found in a phase, but for what an earlier phase has already said."""
        plan, tracking = self._plan, self._tracking
        judge = PhaseJudge(phase, self.measured, self.stages, tracking, file)
        try:
            note = judge.read_stream(needed=plan is not None and bool(plan.heap))
            self.notes += [note] if note else []
            tracked = tracking.since == phase and (plan is None or not plan.whole)
            self.measured.weigh(phase, file, tracked=tracked)
            if self._needs.drill:
                judge.drill()
            said = {(known.rule, known.budget) for known in self.findings}
            found = judge.judge(plan.judged if plan is not None else ())
            return [finding for finding in found if (finding.rule, finding.budget) not in said]
        finally:
            if file is not None:
                file.close()
                tracking.boundaries.clear()
                self.stages.forget_windows()

    def _say_what_was_lost(self, found: Sequence[Finding]) -> None:
        """Note that the peak means nothing, unless a finding says so."""
        lost = self._instruments.resident.lost
        if lost and not any(finding.rule == "not-measured" for finding in found):
            self.notes.append(f"its peak RSS may have been higher: {lost}")

    def _collect_garbage(self) -> None:
        limited = self._plan is not None and bool(self._plan.limits)
        if self._needs.record:
            clear_free_lists()
        if limited or self._needs.record:
            tolerance = FOR_STORED_PEAKS.ignore
            if self._plan is not None and limited:
                tolerance = self._plan.tolerance
            level = self._instruments.resident.level()
            self._instruments.collect_if_grown(level, tolerance, often=self._needs.record)

    # Slack

    def _slack_bound(self, thresholds: SlackThresholds, *, fill: bool = True) -> int:
        """Return an upper bound of the slack; 0 where it cannot be measured."""
        estimator = self._instruments.slack_estimator
        if estimator is None:
            return 0
        self._settle()
        level = self._instruments.resident.level()
        return estimator.bound(
            level, thresholds.fill_permanently, thresholds.use_tracker, fill=fill
        )

    @property
    def _is_hooked(self) -> bool:
        """Whether memray or tracemalloc counts what is allocated from now on."""
        hooked = any(meter.hooks_allocators and meter.running for meter in self._others)
        return self._tracking.counts or hooked

    def _stays_hooked(self, phase: PhaseName) -> bool:
        """Whether one of them goes on counting when a phase has ended."""
        plan = self._plan
        return phase != "teardown" and plan is not None and (plan.whole or plan.metered_whole)

    def _hook(self, *starts: Callable[[], object]) -> int:
        """Start what hooks pymalloc, whose slack cannot be measured from then on.

        Args:
            starts: start it, in this order.

        Returns:
            Bytes by which that made the process larger.
        """
        resident, estimator = self._instruments.resident, self._instruments.slack_estimator
        self._settle()
        before = resident.level()
        if estimator is not None:
            estimator.bound(before, 0, inf, fill=False)
        for start in starts:
            start()
        after = resident.level()
        if estimator is not None:
            estimator.discount(after)
        return after - before

    def _slack(self, thresholds: SlackThresholds) -> int:
        """Return the slack at the start of a phase, and fill it where that is possible.

        While memray or tracemalloc counts, what was filled before has stayed so.
        """
        if self._is_hooked:
            return self._slack_bound(thresholds, fill=False)
        return self._fill_temporarily(self._slack_bound(thresholds), thresholds)

    def _fill_temporarily(self, slack: int, thresholds: SlackThresholds) -> int:
        """Fill the slack until the phase ends, if it matters; return what is left."""
        estimator = self._instruments.slack_estimator
        if estimator is None or slack <= thresholds.fill_temporarily:
            return slack
        level = self._instruments.resident.level()
        return estimator.fill_temporarily(
            level, slack, thresholds.fill_permanently, thresholds.fill_temporarily
        )

    def _anywhere(self) -> int:
        estimator = self._instruments.slack_estimator
        return 0 if estimator is None else estimator.anywhere

    def _stage_slack(self, limit: int | None) -> int:
        """Return the slack at the start of a stage, if there is a limit on it.

        A limit that the stage states itself is not known before, so the slack is filled
        here, unless that would count as the test's own memory.
        """
        needed = [thresholds_for(limit)] if limit is not None else []
        if self._plan is not None:
            needed += [
                thresholds_for(b.limit, b.before)
                for b in self._plan.judged
                if b.stage and metric_named(b.metric).is_resident
            ]
        if self._needs.record:
            needed.append(FOR_STORED_PEAKS)
        if not needed:
            return 0
        thresholds = strictest(needed)
        estimator = self._instruments.slack_estimator
        if estimator is None or limit is None or self._is_hooked:
            return self._slack_bound(thresholds, fill=not self._is_hooked)
        self._settle()
        before = self._instruments.resident.level()
        slack = estimator.bound(before, thresholds.fill_permanently, thresholds.use_tracker)
        slack = estimator.fill_more(
            before, slack, thresholds.fill_permanently, thresholds.fill_temporarily
        )
        self.recorder.discount(max(0, self._instruments.resident.level() - before))
        return slack

    def _settle(self) -> None:
        self._instruments.settle(self._tolerance)

    # memray

    @property
    def no_tracker(self) -> str:
        """Why memray could not be used when it was needed; empty if it could."""
        return self._tracking.problem

    def _start_drill(self) -> None:
        self.recorder.discount(self._hook(self._tracking.start_for_lines))
        problem = self._tracking.problem
        if problem:
            self.notes.append(f"the lines of its stages are not known: {problem}")

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

    @property
    def breached(self) -> bool:
        """Whether a limit has been exceeded so far."""
        return any(finding.rule in BREACHES for finding in self.findings)

    def replace_findings(self, new: Mapping[Finding, Finding | None]) -> None:
        """Put findings, or none, in place of others."""
        kept = (new.get(finding, finding) for finding in self.findings)
        self.findings = [finding for finding in kept if finding is not None]

    def phase_readings(self) -> tuple[PhaseReading, ...]:
        """What was measured, phase by phase."""
        return self.measured.phase_readings()

    def stage_readings(self) -> tuple[StageReading, ...]:
        """What its stages added up to."""
        return self.measured.stage_readings()
