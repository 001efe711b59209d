"""Judges budgets by what memray wrote of a phase, and names the lines behind its peaks."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.judge.budget import judge, not_measured, stage_not_run
from pytest_memguard.measure.peaks import Peaks
from pytest_memguard.measure.tracking import Tracking
from pytest_memguard.model.measurements import BREACHES, PHASES, Budget, Finding, PhaseName
from pytest_memguard.model.metrics import HEAP, metric_named
from pytest_memguard.probes.heap import HeapFile

if TYPE_CHECKING:
    from pytest_memguard.measure.stage_log import StageLog
    from pytest_memguard.measure.stream import Stream

SITES: Final = 10
"""So many lines of a peak are named."""
_TOO_MANY_EVENTS: Final = 30_000_000


class HeapJudge:
    """Judges one phase by its allocations.

    Args:
        phase: it has ended.
        peaks: works out the test's.
        stages: the stages of the test.
        tracking: memray's part in it.
        file: what memray wrote, if it has been stopped.

    Attributes:
        stream: the same, once it has been read.
    """

    def __init__(
        self,
        phase: PhaseName,
        peaks: Peaks,
        stages: StageLog,
        tracking: Tracking,
        file: HeapFile | None,
    ) -> None:
        self.stream: Stream | None = None
        self._phase: PhaseName = phase
        self._peaks = peaks
        self._stages = stages
        self._tracking = tracking
        self._file = file

    def read(self, *, needed: bool) -> str:
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
            self.stream = read_stream(file)
        except Unmeasurable as error:
            self._tracking.problem = str(error)
            return "" if needed else f"the lines of its stages are not known: {error}"
        return ""

    def read_late(self) -> None:
        """Read what memray wrote because much was free, if that has not been done."""
        if self.stream is None and self._file is not None:
            from pytest_memguard.measure.stream import read_stream

            with contextlib.suppress(Unmeasurable):
                self.stream = read_stream(self._file)

    def drill(self) -> None:
        """Name the lines that grew most in the dominant stage."""
        sums = self._stages.sums
        path = dominant_stage({p: (s.peaks[0], s.delta) for p, s in sums.items()})
        window = sums[path].highest if path is not None else None
        if self.stream is not None and path is not None and window is not None:
            lines = self.stream.sites(*window).largest(SITES, with_kept=True)
            self._peaks.drilled[path] = lines

    def judge(self, budget: Budget) -> list[Finding]:
        """Judge a budget on all that was allocated."""
        if self._tracking.problem:
            return [not_measured(budget, self._tracking.problem)]
        if self._file is None:
            return []
        if budget.stage is not None:
            return self._judge_stage(budget)
        if self.stream is None:
            if not budget.covers(self._phase):
                return []  # memray ran in this phase for another reason
            peak = self._peaks.of(self._phase)[HEAP.name]
            return self.with_sites(judge(budget, peak, self._phase))
        found: list[Finding] = []
        for first, last, name in _windows(budget, self._tracking.boundaries):
            rise = self._whole_rise() if budget.phase == "all" else self._peaks.rise(name)
            found += self._judge_window(budget, self.stream, (first, last), rise, name)
        return found

    def _whole_rise(self) -> int:
        """Bytes by which resident memory rose above the level at the start of setup."""
        regions = [self._peaks.regions[n] for n in PHASES if n in self._peaks.regions]
        first = regions[0].levels[0]
        return max(region.levels[0] - first + region.rise() for region in regions)

    def _judge_stage(self, budget: Budget) -> list[Finding]:
        matching, stream = self._stages.paths_of(budget), self.stream
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

    def with_sites(self, finding: Finding | None) -> list[Finding]:
        """Return a finding, if there is one, with the lines of the peak if it is a breach."""
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


def dominant_stage(stages: dict[str, tuple[int, int]]) -> str | None:
    """The stage to explain: of those near the largest peak, the most deeply nested.

    Args:
        stages: peak and delta in bytes, by path.
    """
    if not stages:
        return None
    largest = max(max(numbers) for numbers in stages.values())
    near = [path for path, numbers in stages.items() if max(numbers) >= 0.95 * largest]
    return max(near, key=lambda path: (path.count("/"), max(stages[path])))
