"""Hands what was measured in a phase to the judges, budget by budget."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.judge.budget import judge, not_measured, stage_not_run
from pytest_memguard.judge.hard_limit import hard_limit
from pytest_memguard.judge.peak_bounds import (
    held_at_peak,
    tracked_peak,
    unseen_below,
    with_foreign,
)
from pytest_memguard.measure.peaks import Peaks
from pytest_memguard.measure.tracking import Tracking
from pytest_memguard.metrics import HEAP, metric_named
from pytest_memguard.model import BREACHES, PHASES, Budget, Finding, Peak, PhaseName
from pytest_memguard.probes.heap import HeapFile
from pytest_memguard.sizes import format_size

if TYPE_CHECKING:
    from pytest_memguard.extension import Readings
    from pytest_memguard.measure.hard_stops import Stopped
    from pytest_memguard.measure.stages import StageLog
    from pytest_memguard.measure.stream import Stream

SITES: Final = 10
_TOO_MANY_EVENTS: Final = 30_000_000


class PhaseJudge:
    """Judges one phase.

    Args:
        phase: it has ended.
        peaks: works out the test's.
        stages: the test's.
        tracking: memray's part in it.
        file: what memray wrote, if it has been stopped.
        known: what was found in earlier phases.
        stopped: where a hard budget stopped the test, if one did.

    Attributes:
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
        self._file = file
        self._stream: Stream | None = None

    def read_stream(self, *, needed: bool) -> str:
        """Read what memray wrote, if there is anything in it to be told apart.

        Args:
            needed: whether a budget depends on it; for lines alone it must not be too long.

        Returns:
            Why the lines of stages were left out, if so.
        """
        file = self._file
        if file is None or not file.boundaries or not (needed or self._stages.sums):
            return ""
        if self._tracking.for_slack:
            return ""  # until a budget turns out to depend on it
        if not needed and file.length > _TOO_MANY_EVENTS:
            return (
                f"the lines of its stages were left out: {file.length:,} allocations are many"
            )
        from pytest_memguard.measure.stream import read_stream

        try:
            self._stream = read_stream(file)
        except Unmeasurable as error:
            self._tracking.problem = str(error)
            return "" if needed else f"the lines of its stages are not known: {error}"
        return ""

    def _read_late(self) -> None:
        """Read what memray wrote because much was free, if that has not been done."""
        if self._stream is None and self._file is not None:
            from pytest_memguard.measure.stream import read_stream

            with contextlib.suppress(Unmeasurable):
                self._stream = read_stream(self._file)

    def drill(self) -> None:
        """Name the lines that grew most in the dominant stage."""
        sums = self._stages.sums
        path = dominant_stage({p: (s.peaks[0], s.delta) for p, s in sums.items()})
        window = sums[path].highest if path is not None else None
        if self._stream is not None and path is not None and window is not None:
            lines = self._stream.sites(*window).largest(SITES, with_kept=True)
            self._peaks.drilled[path] = lines

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
                found += self._judge_heap(limit)
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
                found += self._with_sites(self._unless_lost(budget, peak, finding))
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
        return self._with_sites(hard_limit(budget, stopped.stop, peak))

    # By resident memory, or by tracemalloc

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
        return self._with_sites(self._unless_lost(budget, peak, finding))

    def _without_bounds(self, budget: Budget) -> str:
        """Why nothing at all is known of a budget's metric; empty if there are bounds."""
        meter = self._peaks.meters[self._peaks.meter_of(budget)]
        return "" if meter.method == "kernel mark" else meter.lost

    def _unless_lost(
        self, budget: Budget, peak: Peak, finding: Finding | None
    ) -> Finding | None:
        """The finding, unless nothing tells the level and its bounds do not settle it."""
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
        matching = self._paths_of(budget)
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
            found += self._with_sites(self._unless_lost(budget, peak, finding))
        return found

    def _decided(self, finding: Finding | None, path: str) -> Finding | None:
        """The finding on a stage, with what the tracker saw of it, if it was undecided."""
        lost = self._peaks.meters[0].lost
        if finding is None or finding.rule != "undecided" or lost:
            return finding
        windows, peak = self._stages.sums[path].windows, finding.peak
        key = (finding.budget, path)
        if windows and self._tracking.for_slack:
            self._read_late()
        stream = self._stream
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

    # By all that was allocated

    def _judge_heap(self, budget: Budget) -> list[Finding]:
        if self._tracking.problem:
            return [not_measured(budget, self._tracking.problem)]
        if self._file is None:
            return []
        if budget.stage is not None:
            return self._judge_heap_stage(budget)
        if self._stream is None:
            if not budget.covers(self._phase):
                return []  # memray ran in this phase for another reason
            peak = self._peaks.of(self._phase)[HEAP.name]
            return self._with_sites(judge(budget, peak, self._phase))
        found: list[Finding] = []
        for first, last, name in _windows(budget, self._tracking.boundaries):
            rise = self._whole_rise() if budget.phase == "all" else self._peaks.rise(name)
            found += self._judge_window(budget, self._stream, (first, last), rise, name)
        return found

    def _whole_rise(self) -> int:
        """Bytes by which resident memory rose above the level at the start of setup."""
        regions = [self._peaks.regions[n] for n in PHASES if n in self._peaks.regions]
        first = regions[0].levels[0]
        return max(region.levels[0] - first + region.rise() for region in regions)

    def _judge_heap_stage(self, budget: Budget) -> list[Finding]:
        matching, stream = self._paths_of(budget), self._stream
        if not matching and self._phase == "teardown":
            return [stage_not_run(budget)]
        own = budget.threads == "current"
        found: list[Finding] = []
        for path in matching:
            windows = self._stages.sums[path].windows
            if stream is None or not windows:
                continue  # it ran in another phase
            first, last = max(windows, key=lambda window: stream.totals.peak(*window, own=own))
            window, rise = (first, last), self._stages.sums[path].peaks[0]
            found += self._judge_window(replace(budget, stage=path), stream, window, rise)
        return found

    def _judge_window(
        self,
        budget: Budget,
        stream: Stream,
        window: tuple[int, int],
        rise: int,
        phase: PhaseName | None = None,
    ) -> list[Finding]:
        own = budget.threads == "current"
        first, last = window
        value = stream.totals.peak(first, last, own=own)
        # what other threads use is resident, too, and in no count of this one's
        peak = self._peaks.heap_peak(stream.file, value, 0 if own else rise)
        if own and phase is not None:
            self._peaks.note_own_thread(phase, value)
        finding = judge(budget, peak, phase)
        if finding is None or finding.rule not in BREACHES:
            return [finding] if finding is not None else []
        sites = stream.sites(first, last, own=own).largest(SITES)
        return [replace(finding, sites=sites)]

    def _paths_of(self, budget: Budget) -> list[str]:
        return [path for path in self._stages.sums if _is_stage(path, budget)]

    def _with_sites(self, finding: Finding | None) -> list[Finding]:
        if finding is None:
            return []
        has_lines = metric_named(finding.budget.metric).has_lines
        if finding.rule in BREACHES and has_lines and self._file is not None:
            from pytest_memguard.attribution.lines import sites_at_peak

            return [replace(finding, sites=sites_at_peak(self._file.at_peak(), SITES))]
        return [finding]


def _windows(
    budget: Budget, boundaries: Mapping[PhaseName, tuple[int, int]]
) -> list[tuple[int, int, PhaseName]]:
    """The stretches of the stream a budget on phases covers."""
    ran = [(name, boundaries[name]) for name in PHASES if name in boundaries]
    if budget.phase == "all" and ran:
        return [(ran[0][1][0], ran[-1][1][1], "call")]
    return [(first, last, name) for name, (first, last) in ran if budget.covers(name)]


def _is_stage(path: str, budget: Budget) -> bool:
    name = budget.stage or ""
    return path == name or (budget.baseline_value is None and path.endswith(f"/{name}"))


def dominant_stage(stages: dict[str, tuple[int, int]]) -> str | None:
    """The stage to look into: of those near the largest peak, the most deeply nested.

    Args:
        stages: peak and delta in bytes, by path.
    """
    if not stages:
        return None
    largest = max(max(numbers) for numbers in stages.values())
    near = [path for path, numbers in stages.items() if max(numbers) >= 0.95 * largest]
    return max(near, key=lambda path: (path.count("/"), max(stages[path])))
