"""Hands what was measured in a phase to the judges, budget by budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_memguard.judge.budget import judge, not_measured, stage_not_run
from pytest_memguard.judge.hard_limit import hard_limit
from pytest_memguard.judge.peak_bounds import (
    held_at_peak,
    tracked_peak,
    unseen_below,
    with_foreign,
)
from pytest_memguard.measure.heap_judging import HeapJudge
from pytest_memguard.measure.peaks import Peaks
from pytest_memguard.measure.tracking import Tracking
from pytest_memguard.model.measurements import PHASES, Budget, Finding, Peak, PhaseName
from pytest_memguard.model.metrics import metric_named
from pytest_memguard.probes.heap import HeapFile
from pytest_memguard.sizes import format_size

if TYPE_CHECKING:
    from pytest_memguard.extension import Readings
    from pytest_memguard.measure.hard_stops import Stopped
    from pytest_memguard.measure.stage_log import StageLog


class PhaseJudge:
    """Judges one phase.

    Args:
        phase: it has ended.
        peaks: works out the test's.
        stages: the stages of the test.
        tracking: memray's part in it.
        file: what memray wrote, if it has been stopped.
        known: what was found in earlier phases.
        stopped: where a hard budget stopped the test, if one did.

    Attributes:
        heap: judges by what memray wrote.
        says_not_measured: whether it has found that a limit was not measured.
    """

    def __init__(
        self,
        phase: PhaseName,
        peaks: Peaks,
        stages: StageLog,
        tracking: Tracking,
        file: HeapFile | None,
        known: Sequence[Finding] = (),
        stopped: Stopped | None = None,
    ) -> None:
        self.says_not_measured = False
        self._said = {(finding.rule, finding.budget) for finding in known}
        self._stopped = stopped
        self._phase: PhaseName = phase
        self._peaks = peaks
        self._stages = stages
        self._tracking = tracking
        self.heap = HeapJudge(phase, peaks, stages, tracking, file)

    @property
    def lost(self) -> str:
        """Why resident memory is not known; empty if it is."""
        return self._peaks.meters[0].lost

    def peak_and_growth(self) -> tuple[int, int]:
        """Bytes of the call's peak (or setup's, without a call), and of what stayed so far."""
        return self._peaks.peak_and_growth()

    def readings(self) -> Readings:
        """What was measured, as checks of other plugins see it."""
        return self._peaks.readings()

    def judge_limits(self, limits: Sequence[Budget]) -> list[Finding]:
        """Judge every limit that has to do with this phase."""
        found: list[Finding] = []
        for limit in limits:
            if self._stopped is not None and limit == self._stopped.budget:
                found += self._judge_stop(limit, self._stopped)
            elif metric_named(limit.metric).is_traced:
                found += self.heap.judge(limit)
            else:
                found += self._judge_metered(limit)
        return self._unless_said(found)

    def judge_stage_budgets(self) -> list[Finding]:
        """Judge the budgets that stages bring along themselves."""
        found: list[Finding] = []
        for budget, peak in self._stages.inline.items():
            if self._stopped is not None and budget == self._stopped.budget:
                found += self._judge_stop(budget, self._stopped)
            elif budget.limit and budget.stage is not None:
                finding = self._decided(judge(budget, peak, self._phase), budget.stage)
                found += self.heap.with_sites(self._unless_lost(budget, peak, finding))
        return self._unless_said(found)

    def _unless_said(self, found: Sequence[Finding]) -> list[Finding]:
        """Findings but for those that an earlier phase has reported already."""
        new = [f for f in found if (f.rule, f.budget) not in self._said]
        self.says_not_measured |= any(finding.rule == "not-measured" for finding in new)
        return new

    def _judge_stop(self, budget: Budget, stopped: Stopped) -> list[Finding]:
        """The finding on a hard budget that stopped the test, in place of all others."""
        peak = self._peaks.of(self._phase)[budget.metric]
        stopped.is_judged = True
        return self.heap.with_sites(hard_limit(budget, stopped.stop, peak))

    def _judge_metered(self, budget: Budget) -> list[Finding]:
        if budget.stage is not None:
            return self._judge_stage(budget)
        if not budget.covers(self._phase):
            return []
        lost = self._without_bounds(budget)
        if lost:
            return [not_measured(budget, lost)]
        peak = self._whole_peak(budget) if budget.phase == "all" else None
        peak = peak or self._peaks.of(self._phase)[budget.metric]
        finding = judge(budget, peak, self._phase)
        return self.heap.with_sites(self._unless_lost(budget, peak, finding))

    def _without_bounds(self, budget: Budget) -> str:
        """Why nothing at all is known of a budget's metric; empty if there are bounds."""
        meter = self._peaks.meters[self._peaks.meter_of(budget)]
        return "" if meter.method == "kernel mark" else meter.lost

    def _unless_lost(
        self, budget: Budget, peak: Peak, finding: Finding | None
    ) -> Finding | None:
        """The finding, unless nothing reports the level and its bounds do not settle it."""
        lost = self._peaks.meters[self._peaks.meter_of(budget)].lost
        if lost and peak.value <= budget.limit < peak.ceiling:
            bound = (
                ""
                if peak.unseen is None
                else f"; it was {format_size(int(peak.ceiling))} at most"
            )
            return not_measured(budget, lost + bound)
        return finding

    def _whole_peak(self, budget: Budget) -> Peak | None:
        """The peak so far above the level at the start of setup."""
        measured = self._peaks
        index = measured.meter_of(budget)
        first = measured.regions["setup"].levels
        if index >= len(first):
            return None  # the budget came after setup
        value = high = kept = least_freed = most_freed = 0
        ceiling = 0.0
        for name in PHASES[: PHASES.index(self._phase) + 1]:
            region = measured.regions.get(name)
            peak = measured.of(name).get(budget.metric) if region is not None else None
            if region is None or peak is None:
                continue
            # what the test itself has is never less than nothing
            least, most = max(0, kept + least_freed), max(0, kept + most_freed)
            value = max(value, least + peak.value)
            high, ceiling = max(high, most + peak.high), max(ceiling, most + peak.ceiling)
            # what the process grows by between two phases is an instrument's
            kept += region.growth(index)
            if index == 0:
                least_freed += region.least_freed
                most_freed += region.most_freed
        here = measured.of(self._phase)[budget.metric]
        high = max(value, high)
        unseen = unseen_below(max(ceiling, high), high)
        return replace(here, value=value, high=high, unseen=unseen)

    def _judge_stage(self, budget: Budget) -> list[Finding]:
        matching = self._stages.paths_of(budget)
        if not matching:
            return [stage_not_run(budget)] if self._phase == "teardown" else []
        lost = self._without_bounds(budget)
        if lost:
            return [not_measured(budget, lost)]
        found: list[Finding] = []
        for path in matching:
            peak = self._peaks.stage_peak(path, self._peaks.meter_of(budget))
            finding = judge(replace(budget, stage=path), peak, self._phase)
            if metric_named(budget.metric).is_resident:
                finding = self._decided(finding, path)
            found += self.heap.with_sites(self._unless_lost(budget, peak, finding))
        return found

    def _decided(self, finding: Finding | None, path: str) -> Finding | None:
        """The finding on a stage, with what the tracker saw of it, if it was undecided."""
        lost = self._peaks.meters[0].lost
        if finding is None or finding.rule != "undecided" or lost:
            return finding
        windows, peak = self._stages.sums[path].windows, finding.peak
        key = (finding.budget, path)
        if windows and self._tracking.for_slack:
            self.heap.read_late()
        stream = self.heap.stream
        if stream is None:
            return None if key in self._peaks.settled else finding
        if not windows or peak is None:
            # it ran in another phase, whose allocations may have settled it
            return None if key in self._peaks.settled else finding
        self._peaks.settled.add(key)
        first, last = max(windows, key=lambda window: stream.totals.peak(*window))
        held = held_at_peak((h.size, h.count) for h in stream.held(first, last))
        foreign, written = self._peaks.foreign(self._phase), stream.file.written
        slack = max(0, peak.ceiling - peak.value - foreign)
        anywhere = self._peaks.anywhere() + peak.ceiling - peak.high
        tracked = tracked_peak(peak.value, slack, held, written, anywhere, peak.method)
        return judge(finding.budget, with_foreign(tracked, foreign))
