"""Works out the peaks of one test from what was measured, phase by phase and stage by stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_memguard.judge.heap_peak import heap_peak
from pytest_memguard.judge.peak_bounds import (
    held_at_peak,
    marked_peak,
    tracked_peak,
    unseen_below,
    with_foreign,
)
from pytest_memguard.judge.slack_thresholds import RSS_RESOLUTION
from pytest_memguard.measure.region import doubt, dropped
from pytest_memguard.model.measurements import (
    Bound,
    Budget,
    CallSite,
    Peak,
    PhaseName,
    PhaseReading,
    StageReading,
)
from pytest_memguard.model.metrics import HEAP, RSS

if TYPE_CHECKING:
    from pytest_memguard.extension import Readings
    from pytest_memguard.measure.current_test import CurrentTest, PhaseState
    from pytest_memguard.measure.recorder import Recorder
    from pytest_memguard.measure.region import Region
    from pytest_memguard.measure.requirements import Requirements
    from pytest_memguard.measure.stage_log import StageLog
    from pytest_memguard.probes.heap import HeapFile


class Peaks:
    """Peaks that follow from what is known of a test.

    Args:
        state: what is known of it.
        requirements: what it is measured for.
        recorder: has the meters.
        stages: the stages of the test.
        anywhere: returns how much of the slack any block fits into.

    Attributes:
        drilled: lines that grew, by stage.
        settled: limits and stages that memray has decided about.
    """

    def __init__(
        self,
        state: CurrentTest,
        requirements: Requirements,
        recorder: Recorder,
        stages: StageLog,
        anywhere: Callable[[], int],
    ) -> None:
        self.drilled: dict[str, tuple[CallSite, ...]] = {}
        self.settled: set[tuple[Budget, str]] = set()
        self.anywhere = anywhere
        self.meters = recorder.meters
        self._state = state
        self._requirements = requirements
        self._stages = stages

    @property
    def regions(self) -> dict[PhaseName, Region]:
        """The region of each phase that has begun."""
        return {phase.name: phase.region for phase in self._state.begun()}

    def of(self, phase: PhaseName) -> dict[str, Peak]:
        """The peaks of a phase, by metric; before it was judged, by its meters alone."""
        here = self._state.by_name[phase]
        return here.peaks or self._metered(here)

    def rise(self, phase: PhaseName) -> int:
        """Bytes of resident memory a phase's peak lay above its start; 0 if it did not run."""
        here = self._state.phase(phase)
        return here.region.rise() if here.begun else 0

    def seconds(self, phase: PhaseName) -> float:
        """How long a phase took."""
        here = self._state.phase(phase)
        return here.region.seconds if here.begun else 0.0

    def peak_and_growth(self) -> tuple[int, int]:
        """Bytes of the call's peak (or setup's, without a call), and of what stayed so far."""
        state = self._state
        regions = list(self.regions.values())
        main = state.call.region if state.call.begun else regions[0]
        return main.rise(), sum(region.growth() for region in regions if region.after)

    def weigh(self, phase: PhaseName, file: HeapFile | None, *, tracked: bool) -> None:
        """Work out the peaks of a phase that has ended.

        Args:
            phase: which.
            file: what memray wrote, if it ran.
            tracked: whether that covers this phase and no other.
        """
        here = self._state.by_name[phase]
        peaks = self._metered(here)
        if file is not None and tracked:
            if not self.meters[0].lost:
                peaks[RSS.name] = self._resident(here, file)
            peaks[HEAP.name] = self.heap_peak(file, file.peak, self.rise(phase))
        here.peaks = peaks

    def heap_peak(self, file: HeapFile, counted: int, rise: int) -> Peak:
        """The peak of a span by memray, bounded by what resident memory shows.

        Args:
            file: what memray wrote.
            counted: bytes that memray counted in the span, at its high-water mark.
            rise: bytes by which resident memory rose in it.
        """

        def waste() -> int:
            return held_at_peak((r.size, r.n_allocations) for r in file.at_peak()).waste

        found = heap_peak(counted, rise, file.mapped, waste)
        return with_foreign(found, max(phase.foreign for phase in self._state.phases))

    def note_own_thread(self, phase: PhaseName, size: int) -> None:
        """Note the peak of what the test's own thread had allocated in a phase, in bytes."""
        peaks = self._state.phase(phase).peaks
        if HEAP.name in peaks:
            peaks[HEAP.name] = replace(peaks[HEAP.name], own=size)

    def foreign(self, phase: PhaseName) -> int:
        """Bytes that other allocators may have held free when a phase or its stages began."""
        return self._state.phase(phase).foreign

    def meter_of(self, budget: Budget) -> int:
        """Which of the meters counts what a budget is on."""
        names = (meter.metric.name for meter in self.meters)
        return next(n for n, name in enumerate(names) if name == budget.metric)

    def stage_peak(self, path: str, index: int = 0) -> Peak:
        """The peak of a stage by one of the meters."""
        meter = self.meters[index]
        stage = self._stages.sums[path]
        value = stage.peaks[index]
        if index == 0:
            unseen = unseen_below(stage.ceiling, stage.high)
            return marked_peak(value, stage.high - value, meter.method, unseen=unseen)
        unseen = unseen_below(stage.ceilings[index], value)
        return Peak(
            metric=meter.metric.name,
            value=value,
            high=value,
            method=meter.method,
            unseen=unseen,
        )

    def phase_readings(self) -> tuple[PhaseReading, ...]:
        """What was measured, phase by phase; 0 where nothing reports resident memory."""
        lost, found = bool(self.meters[0].lost), []
        for here in self._state.begun():
            region = here.region
            if not region.after:
                continue
            level = 0 if lost else region.levels[0]
            peaks = list((here.peaks or self._metered(here)).values())
            if lost:
                peaks = [peak for peak in peaks if peak.metric != RSS.name]
            found.append(
                PhaseReading(
                    name=here.name,
                    seconds=region.seconds,
                    level=level,
                    growth=0 if lost else region.after[0] - level,
                    peaks=tuple(peaks),
                )
            )
        return tuple(found)

    def stage_readings(self) -> tuple[StageReading, ...]:
        """What its stages added up to, in the order they were first entered."""
        if not self._stages.sums:
            return ()
        first = int(bool(self.meters[0].lost))
        return tuple(
            StageReading(
                path=path,
                count=stage.count,
                delta=0 if first else stage.delta,
                cumul=0 if first else stage.cumul,
                seconds=stage.seconds,
                peaks=tuple(
                    self.stage_peak(path, index) for index in range(first, len(self.meters))
                ),
                lines=self.drilled.get(path, ()),
            )
            for path, stage in self._stages.sums.items()
            if stage.count
        )

    def readings(self) -> Readings:
        """What was measured, as checks of other plugins see it."""
        from pytest_memguard.extension import Reading, Readings  # few suites have such checks

        return Readings(
            {
                phase: {
                    meter.metric.name: Reading(
                        metric=meter.metric,
                        before=before,
                        after=after,
                        highest=before + region.rise(index),
                        lost=meter.lost,
                    )
                    for index, (meter, before, after) in enumerate(
                        zip(self.meters, region.levels, region.after, strict=False)
                    )
                }
                for phase, region in self.regions.items()
                if region.after
            }
        )

    def _metered(self, here: PhaseState) -> dict[str, Peak]:
        region, phase, resident = here.region, here.name, self.meters[0]
        slack, bound = self._doubt(here)
        rise, unseen = region.rise(), region.unseen()
        peaks = {RSS.name: marked_peak(rise, slack, resident.method, bound, unseen=unseen)}
        wanted = self._requirements.metered
        for index, meter in enumerate(self.meters[1:], 1):
            if not meter.lost and phase in wanted.get(meter.metric.name, ()):
                value = region.rise(index)
                peaks[meter.metric.name] = Peak(
                    metric=meter.metric.name,
                    value=value,
                    high=value + (slack if meter.metric.includes_resident else 0),
                    method=meter.method,
                    bound=bound,
                    unseen=region.unseen(index),
                )
        return peaks

    def _doubt(self, here: PhaseState) -> tuple[int, Bound]:
        """By how many bytes the peak may lie above the rise of the mark, and why."""
        region, setup, gone = here.region, self._state.setup, 0
        if here.name == "call" and region.after:
            start = min(region.levels[0], setup.base) if setup.begun else region.levels[0]
            gone = dropped(start, region.after[0], region.most_freed)
        return doubt(region, here.slack, gone, here.foreign)

    def _resident(self, here: PhaseState, file: HeapFile) -> Peak:
        """The peak of resident memory by mark and tracker, where the mark needs help."""
        metered, phase, foreign = self._metered(here)[RSS.name], here.name, here.foreign
        rise = metered.value
        slack = max(0, metered.ceiling - rise - foreign)
        limit = self._requirements.resident.get(phase, 0)
        thresholds = self._requirements.thresholds.get(phase)
        enough = thresholds.ignore if thresholds is not None else RSS_RESOLUTION
        if slack <= enough and not rise > limit > 0:
            return metered
        held = held_at_peak((record.size, record.n_allocations) for record in file.at_peak())
        anywhere = self.anywhere() + metered.ceiling - metered.high  # any block may be unseen
        found = tracked_peak(rise, slack, held, file.written, anywhere, metered.method)
        return with_foreign(found, foreign)
