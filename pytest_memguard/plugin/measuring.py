"""One test from setup to teardown: instruments on and off, numbers to the judges."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from pytest_memguard.attribution.lines import CallSites, sites_at_peak
from pytest_memguard.attribution.replay import Held as StackHeld
from pytest_memguard.attribution.replay import Replay, held_between, replay
from pytest_memguard.clock import Clock
from pytest_memguard.errors import Unmeasurable
from pytest_memguard.judge.budget import judge, not_measured, stage_not_run
from pytest_memguard.judge.room import (
    FOR_RECORD,
    GRAIN,
    Precision,
    finest,
    held_at_peak,
    marked_peak,
    precision_for,
    tracked_peak,
)
from pytest_memguard.model import (
    BREACHES,
    PHASES,
    Budget,
    CallSite,
    Finding,
    Peak,
    PhaseName,
    PhaseReading,
    StageReading,
)
from pytest_memguard.probes import Meter
from pytest_memguard.probes.heap import BOUNDARY_SIZE, HeapFile, HeapTracker
from pytest_memguard.probes.python_heap import PythonHeap
from pytest_memguard.recording.free_lists import clear_free_lists
from pytest_memguard.recording.recorder import Recorder, Region
from pytest_memguard.recording.stages import Host, StageLog, forget_open_stages, set_current
from pytest_memguard.units import MIB

if TYPE_CHECKING:
    from pytest_memguard.plugin.plans import Plan
    from pytest_memguard.recording.instruments import Instruments

SITES: Final = 10
NO_LIMIT_TOLERANCE: Final = 1 * MIB
_TOO_MANY_EVENTS: Final = 30_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What the run asks of a test's measurement beyond its budgets."""

    track: bool = False
    """Use memray in the phases that have a budget, to name lines."""
    drill: bool = False
    """Use memray in the call, to name the lines of stages."""
    record: bool = False
    """The peak is going to be stored or compared, and must be as exact as it can be."""
    warn: float | None = None
    """Share above which budgets that stages bring along warn."""

    def precision(self, plan: Plan | None, phase: PhaseName) -> Precision | None:
        """How much free room a phase can bear; ``None`` where no answer depends on it."""
        found = None if plan is None else plan.precision.get(phase)
        return FOR_RECORD if found is None and self.record and phase == "call" else found


class Measurement:
    """Measures one test.

    Args:
        plan: its budgets; ``None`` if it only takes part in the report.
        instruments: the process's.
        needs: what else is asked for.
        memray_in_use: says why memray must not be used unless asked for, if so.
    """

    def __init__(
        self,
        plan: Plan | None,
        instruments: Instruments,
        needs: Needs,
        memray_in_use: Callable[[], str],
    ) -> None:
        self.plan = plan
        self.wants_stages = True
        self.needs = needs
        self.overhead = 0.0
        self.findings: list[Finding] = []
        self.notes: list[str] = []
        self.drilled: dict[str, tuple[CallSite, ...]] = {}
        self._instruments = instruments
        self._memray_in_use = memray_in_use
        meters: list[Meter] = [instruments.resident]
        self._python = PythonHeap()
        if plan is not None and plan.python:
            meters.append(self._python)
        self._tolerance = NO_LIMIT_TOLERANCE
        self.recorder = Recorder(meters, self._settle)
        self.stages = StageLog(
            self.recorder,
            self._stage_room,
            self._start_drill if needs.drill else None,
            needs.warn,
        )
        self._regions: dict[PhaseName, Region] = {}
        self._rooms: dict[PhaseName, int] = {}
        self._peaks: dict[PhaseName, dict[str, Peak]] = {}
        self._tracker: HeapTracker | None = None
        self._tracked_from: PhaseName | None = None
        self._boundaries: dict[PhaseName, tuple[int, int]] = {}
        self._no_tracker = ""
        self.host_before: Host | None = None

    # Phases

    def adopt(self, phase: PhaseName, region: Region, room: int, *, is_open: bool) -> None:
        """Take over a phase that was measured with the first meter alone.

        Args:
            phase: which.
            region: what is known of it.
            room: bytes that were free inside the process at its start.
            is_open: whether it still lasts.
        """
        self._regions[phase] = region
        self._rooms[phase] = room
        if is_open:
            self.stages.start_level = region.levels[0]
            self.recorder.adopt(region)

    def stage_log(self) -> StageLog:
        """The log the test's stages go to."""
        return self.stages

    def begin(self, phase: PhaseName) -> None:
        """Start measuring a phase."""
        start = Clock.seconds()
        plan = self.plan
        room = 0
        precision = self.needs.precision(plan, phase)
        if phase == "setup":
            forget_open_stages()
            self._collect_garbage()
        if precision is not None:
            self._tolerance = precision.enough
            room = self._fill_briefly(self._free_room(precision), precision)
        self._rooms[phase] = room
        self._python.wanted = plan is not None and phase in plan.python
        self.recorder.start()
        if self._wants_tracker(phase, room, precision):
            # inside tracemalloc, never around it: each puts back the allocators it found
            self._start_tracker(phase)
        self.host_before = set_current(self)
        region = self._regions[phase] = self.recorder.open()
        self.stages.start_level = region.levels[0]
        if self.stages.tracker is not None:
            self._boundaries[phase] = (self.stages.tracker.mark(), -1)
        end = Clock.seconds()
        region.started = end
        self.overhead += end - start

    def end(self, phase: PhaseName) -> list[Finding]:
        """Stop measuring a phase, and judge it."""
        start = Clock.seconds()
        if self.stages.tracker is not None and phase in self._boundaries:
            self._boundaries[phase] = (
                self._boundaries[phase][0],
                self.stages.tracker.mark(),
            )
        region = self._regions[phase]
        self.recorder.close(region)
        watch = self._instruments.room
        filled = watch.release() if watch is not None else 0
        self._settle()  # free pages are no growth
        region.after[0] = self._instruments.resident.level() + filled
        file = self._stop_tracker(phase)
        if phase == "teardown" or self.plan is None or not self.plan.python_whole:
            self.recorder.stop()
        set_current(self.host_before)
        if phase == "teardown":
            self._collect_garbage()
        found = self._judge(file, phase, self.plan.judged if self.plan is not None else ())
        self.findings += found
        self.overhead += Clock.seconds() - start
        return found

    def _collect_garbage(self) -> None:
        limited = self.plan is not None and bool(self.plan.limits)
        if self.needs.record:
            clear_free_lists()
        if limited or self.needs.record:
            tolerance = FOR_RECORD.enough
            if self.plan is not None and limited:
                tolerance = self.plan.tolerance
            level = self._instruments.resident.level()
            self._instruments.collect_if_grown(level, tolerance, often=self.needs.record)

    def _free_room(self, precision: Precision) -> int:
        """Upper bound of the free bytes inside the process; 0 where nobody can tell."""
        watch = self._instruments.room
        if watch is None:
            return 0
        self._settle()
        level = self._instruments.resident.level()
        return watch.bound(level, precision.lay, precision.tracker)

    def _fill_briefly(self, room: int, precision: Precision) -> int:
        """Fill what is free until the phase ends, if it matters; what is free then."""
        watch = self._instruments.room
        if watch is None or room <= precision.fill:
            return room
        level = self._instruments.resident.level()
        return watch.fill_briefly(level, room, precision.lay, precision.fill)

    def _anywhere(self) -> int:
        watch = self._instruments.room
        return 0 if watch is None else watch.anywhere

    def _stage_room(self, limit: int | None) -> int:
        """Free room at the start of a stage, if there is a limit on it."""
        needed = [precision_for(limit)] if limit is not None else []
        if self.plan is not None:
            needed += [
                precision_for(b.limit, b.before)
                for b in self.plan.judged
                if b.stage and b.metric == "rss"
            ]
        if self.needs.record:
            needed.append(FOR_RECORD)
        return self._free_room(finest(needed)) if needed else 0

    def _settle(self) -> None:
        self._instruments.settle(self._tolerance)

    # What the hooks ask

    @property
    def begun(self) -> bool:
        """Whether any phase has been begun."""
        return bool(self._regions)

    @property
    def no_tracker(self) -> str:
        """Why memray could not be used when it was needed; empty if it could."""
        return self._no_tracker

    @property
    def breached(self) -> bool:
        """Whether a limit has been exceeded so far."""
        return any(finding.rule in BREACHES for finding in self.findings)

    def rise(self, phase: PhaseName) -> int:
        """Bytes of resident memory a phase's peak lay above its start; 0 if it did not run."""
        region = self._regions.get(phase)
        return region.rise() if region is not None else 0

    def seconds(self, phase: PhaseName) -> float:
        """How long a phase took."""
        region = self._regions.get(phase)
        return region.seconds if region is not None else 0.0

    def peak_and_growth(self) -> tuple[int, int]:
        """Bytes of the call's peak (or setup's, without a call), and of what stayed so far."""
        regions = list(self._regions.values())
        main = self._regions.get("call", regions[0])
        return main.rise(), sum(region.growth() for region in regions if region.after)

    def replace_findings(self, new: Mapping[Finding, Finding | None]) -> None:
        """Put findings, or none, in place of others."""
        kept = (new.get(finding, finding) for finding in self.findings)
        self.findings = [finding for finding in kept if finding is not None]

    def abandon(self) -> None:
        """Stop whatever is still running, after an interrupted test."""
        if self._tracker is not None:
            self._tracker.stop().close()
            self._tracker = None
        self.recorder.stop()
        set_current(self.host_before)

    def yield_tracker(self) -> None:
        """Give the one tracker there can be to the test, unless a budget needs it.

        Raises:
            Unmeasurable: if a budget needs it.
        """
        if self._tracker is None:
            return
        if self.plan is not None and self.plan.heap:
            msg = "measure('heap') cannot be used in a test with a heap budget: memray is busy"
            raise Unmeasurable(msg)
        self._tracker.stop().close()
        self._tracker = self.stages.tracker = None
        self._no_tracker = "the test used memray itself"

    # The tracker

    def _wants_tracker(self, phase: PhaseName, room: int, precision: Precision | None) -> bool:
        plan = self.plan
        if self._tracker is not None:
            return False
        if plan is not None and (phase in plan.heap):
            return True
        if self.needs.track:
            in_plan = plan is not None and phase in plan.python
            limited = plan is not None and phase in plan.limits
            return phase == "call" or limited or in_plan
        return precision is not None and room > precision.tracker

    def _start_tracker(self, phase: PhaseName) -> None:
        asked = self.plan is not None and phase in self.plan.heap
        self._no_tracker = self._instruments.no_heap or self._memray_in_use()
        if self._no_tracker:
            return
        try:
            give_way = None if asked else self.yield_tracker
            self._tracker = HeapTracker(self._instruments.folder, give_way)
        except (Unmeasurable, OSError) as error:
            self._no_tracker = str(error)
            return
        self._tracked_from = phase
        if self.needs.drill or self.needs.track or (self.plan and self.plan.detailed):
            self.stages.tracker = self._tracker

    def _start_drill(self) -> None:
        """Track from the first stage on; only its lines are read from it."""
        if self._tracker is None:
            before = self._instruments.resident.level()
            self._start_tracker("call")
            self._tracked_from = None
            self.recorder.discount(self._instruments.resident.level() - before)
        if self._no_tracker:
            self.notes.append(f"the lines of its stages are not known: {self._no_tracker}")
        self.stages.tracker = self._tracker

    def _stop_tracker(self, phase: PhaseName) -> HeapFile | None:
        whole = self.plan is not None and self.plan.whole
        if self._tracker is None or (whole and phase != "teardown"):
            return None
        tracker, self._tracker = self._tracker, None
        self.stages.tracker = None
        return tracker.stop()

    # Judging

    def _judge(
        self, file: HeapFile | None, phase: PhaseName, budgets: Sequence[Budget]
    ) -> list[Finding]:
        try:
            return self._judge_with(file, phase, budgets)
        finally:
            if file is not None:
                file.close()
                self._boundaries.clear()
                self.stages.forget_windows()

    def _judge_with(
        self, file: HeapFile | None, phase: PhaseName, budgets: Sequence[Budget]
    ) -> list[Finding]:
        stream = None
        if file is not None and file.boundaries and self._worth_reading(file):
            stream = replay(file.events(), BOUNDARY_SIZE)
        self._peaks[phase] = self._phase_peaks(phase, file)
        if self.needs.drill and file is not None and stream is not None:
            self._drill(file, stream)
        found: list[Finding] = []
        for budget in budgets:
            if budget.metric == "heap":
                found += self._judge_heap(budget, file, stream, phase)
            else:
                found += self._judge_metered(budget, file, stream, phase)
        for budget, (value, high) in self.stages.inline.items():
            if budget.limit:
                peak = marked_peak(value, high - value, self.recorder.meters[0].method)
                finding = judge(budget, peak, phase)
                if finding is not None and budget.stage is not None:
                    finding = self._decided(finding, budget.stage, file, stream)
                found += self._with_sites(finding, file)
        return [finding for finding in found if not self._known(finding)]

    def _worth_reading(self, file: HeapFile) -> bool:
        """Whether the stream is needed; for lines alone it must not be too long."""
        if self.plan is not None and self.plan.heap:
            return True
        if not self.stages.sums:
            return False
        if file.length > _TOO_MANY_EVENTS:
            self.notes.append(
                f"the lines of its stages were left out: {file.length:,} allocations are many"
            )
            return False
        return True

    def _known(self, finding: Finding) -> bool:
        """Whether an earlier phase of this test has already said so."""
        return any(
            known.rule == finding.rule and known.budget == finding.budget
            for known in self.findings
        )

    def _phase_peaks(self, phase: PhaseName, file: HeapFile | None) -> dict[str, Peak]:
        region = self._regions[phase]
        peaks: dict[str, Peak] = {}
        resident = self.recorder.meters[0]
        room, rise = self._rooms[phase], region.rise()
        if file is not None and self._tracked_from == phase and not self._whole:
            peaks["rss"] = marked_peak(rise, room, resident.method)
            limit = self.plan.limits.get(phase, 0) if self.plan is not None else 0
            precision = self.needs.precision(self.plan, phase)
            enough = precision.enough if precision is not None else GRAIN
            if room > enough or rise > limit > 0:
                held = held_at_peak(
                    (record.size, record.n_allocations) for record in file.at_peak()
                )
                peaks["rss"] = tracked_peak(rise, room, held, file.written, self._anywhere())
            peaks["heap"] = Peak(
                metric="heap", value=file.peak, high=file.peak, method="memray"
            )
        else:
            peaks["rss"] = marked_peak(rise, room, resident.method)
        for index, meter in enumerate(self.recorder.meters[1:], 1):
            if not meter.lost and self._python.wanted:
                value = region.rise(index)
                peaks[meter.metric] = Peak(
                    metric=meter.metric, value=value, high=value, method=meter.method
                )
        return peaks

    @property
    def _whole(self) -> bool:
        return self.plan is not None and self.plan.whole

    def _judge_metered(
        self, budget: Budget, file: HeapFile | None, stream: Replay | None, phase: PhaseName
    ) -> list[Finding]:
        if budget.stage is not None:
            return self._judge_stage(budget, file, stream, phase)
        if not budget.covers(phase):
            return []
        lost = self._lost(budget)
        if lost:
            return [not_measured(budget, lost)]
        peak = self._whole_peak(budget, phase) if budget.phase == "all" else None
        peak = peak or self._peaks[phase][budget.metric]
        return self._with_sites(judge(budget, peak, phase), file)

    def _whole_peak(self, budget: Budget, phase: PhaseName) -> Peak | None:
        """The peak so far above the level at the start of setup."""
        index = self._meter_index(budget)
        first = self._regions["setup"].levels
        if index >= len(first):
            return None  # the budget came after setup
        value = high = 0
        for name in PHASES[: PHASES.index(phase) + 1]:
            region = self._regions.get(name)
            if region is None:
                continue
            peaks = self._peaks.get(name) or self._phase_peaks(name, None)
            peak = peaks.get(budget.metric)
            if peak is not None:
                base = region.levels[index] - first[index]
                value, high = max(value, base + peak.value), max(high, base + peak.high)
        here = self._peaks[phase][budget.metric]
        return replace(here, value=value, high=max(value, high))

    def _meter_index(self, budget: Budget) -> int:
        return 0 if budget.metric == "rss" else 1

    def _lost(self, budget: Budget) -> str:
        return self.recorder.meters[self._meter_index(budget)].lost

    def _judge_stage(
        self, budget: Budget, file: HeapFile | None, stream: Replay | None, phase: PhaseName
    ) -> list[Finding]:
        matching = [path for path in self.stages.sums if _is_stage(path, budget)]
        if not matching:
            return [stage_not_run(budget)] if phase == "teardown" else []
        lost = self._lost(budget)
        if lost:
            return [not_measured(budget, lost)]
        found: list[Finding] = []
        for path in matching:
            peak = self._stage_peak(path, self._meter_index(budget))
            finding = judge(replace(budget, stage=path), peak, phase)
            if finding is not None and budget.metric == "rss":
                finding = self._decided(finding, path, file, stream)
            found += self._with_sites(finding, file)
        return found

    def _decided(
        self, finding: Finding, path: str, file: HeapFile | None, stream: Replay | None
    ) -> Finding | None:
        """The finding on a stage, with what the tracker saw of it, if it was undecided."""
        windows = self.stages.sums[path].windows
        peak = finding.peak
        if finding.rule != "undecided" or not windows or peak is None:
            return finding
        if file is None or stream is None:
            return finding
        first, last = max(windows, key=lambda window: stream.peak(*window))
        held = held_at_peak(
            (h.size, h.count) for h in self._held_between(file, stream, first, last)
        )
        room = peak.high - peak.value
        tracked = tracked_peak(peak.value, room, held, file.written, self._anywhere())
        return judge(finding.budget, tracked)

    def _stage_peak(self, path: str, index: int) -> Peak:
        meter = self.recorder.meters[index]
        stage = self.stages.sums[path]
        value = stage.peaks[index]
        if index == 0:
            return marked_peak(value, stage.high - value, meter.method)
        return Peak(metric=meter.metric, value=value, high=value, method=meter.method)

    def _judge_heap(
        self,
        budget: Budget,
        file: HeapFile | None,
        stream: Replay | None,
        phase: PhaseName,
    ) -> list[Finding]:
        if self._no_tracker:
            return [not_measured(budget, self._no_tracker)]
        if file is None:
            return []
        if budget.stage is not None:
            return self._judge_heap_stage(budget, file, stream, phase)
        if stream is None:
            if not budget.covers(phase):
                return []  # memray ran in this phase for another reason
            return self._with_sites(judge(budget, self._peaks[phase]["heap"], phase), file)
        found: list[Finding] = []
        for first, last, name in self._windows(budget):
            own = budget.threads == "current"
            value = stream.peak(first, last, own=own)
            peak = Peak(metric="heap", value=value, high=value, method="memray")
            finding = judge(budget, peak, name)
            found += [self._with_held(finding, file, stream, first, last)] if finding else []
        return found

    def _windows(self, budget: Budget) -> list[tuple[int, int, PhaseName]]:
        """The stretches of the stream a budget on phases covers."""
        ran = [(name, self._boundaries[name]) for name in PHASES if name in self._boundaries]
        if budget.phase == "all" and ran:
            return [(ran[0][1][0], ran[-1][1][1], "call")]
        return [(first, last, name) for name, (first, last) in ran if budget.covers(name)]

    def _judge_heap_stage(
        self, budget: Budget, file: HeapFile, stream: Replay | None, phase: PhaseName
    ) -> list[Finding]:
        found: list[Finding] = []
        matching = [path for path in self.stages.sums if _is_stage(path, budget)]
        if not matching and phase == "teardown":
            return [stage_not_run(budget)]
        own = budget.threads == "current"
        for path in matching:
            windows = self.stages.sums[path].windows
            if stream is None or not windows:
                continue  # it ran in another phase
            value, (first, last) = max(
                (stream.peak(first, last, own=own), (first, last)) for first, last in windows
            )
            peak = Peak(metric="heap", value=value, high=value, method="memray")
            finding = judge(replace(budget, stage=path), peak)
            found += [self._with_held(finding, file, stream, first, last)] if finding else []
        return found

    def _with_held(
        self, finding: Finding, file: HeapFile, stream: Replay, first: int, last: int
    ) -> Finding:
        if finding.rule not in BREACHES:
            return finding
        own = finding.budget.threads == "current"
        return replace(
            finding, sites=self._held(file, stream, first, last, own=own).largest(SITES)
        )

    def _with_sites(self, finding: Finding | None, file: HeapFile | None) -> list[Finding]:
        if finding is None:
            return []
        if finding.rule in BREACHES and file is not None:
            return [replace(finding, sites=sites_at_peak(file.at_peak(), SITES))]
        return [finding]

    # Stages

    def _drill(self, file: HeapFile, stream: Replay) -> None:
        """Name the lines that grew most in the dominant stage."""
        path = dominant_stage({p: (s.peaks[0], s.delta) for p, s in self.stages.sums.items()})
        if path is None:
            return
        window = self.stages.sums[path].highest
        if window is not None:
            sites = self._held(file, stream, *window)
            self.drilled[path] = sites.largest(SITES, with_kept=True)

    def _held(
        self,
        file: HeapFile,
        stream: Replay,
        first: int,
        last: int,
        *,
        own: bool = False,
    ) -> CallSites:
        sites = CallSites()
        for held in self._held_between(file, stream, first, last, own=own):
            sites.add(held.event, size=held.size, count=held.count, kept=held.kept)
        return sites

    def _held_between(
        self, file: HeapFile, stream: Replay, first: int, last: int, *, own: bool = False
    ) -> Sequence[StackHeld]:
        return held_between(
            file.events(),
            BOUNDARY_SIZE,
            first=first,
            last=last,
            high_event=stream.high_event(first, last, own=own),
            thread=stream.thread if own else None,
        )

    # Readings

    def phase_readings(self) -> tuple[PhaseReading, ...]:
        """What was measured, phase by phase."""
        return tuple(
            PhaseReading(
                name=name,
                seconds=region.seconds,
                level=region.levels[0],
                growth=region.growth(),
                peaks=tuple((self._peaks.get(name) or self._phase_peaks(name, None)).values()),
            )
            for name, region in self._regions.items()
            if region.after
        )

    def stage_readings(self) -> tuple[StageReading, ...]:
        """What its stages added up to, in the order they were first entered."""
        return tuple(
            StageReading(
                path=path,
                count=stage.count,
                delta=stage.delta,
                cumul=stage.cumul,
                seconds=stage.seconds,
                peaks=tuple(
                    self._stage_peak(path, index) for index in range(len(self.recorder.meters))
                ),
                lines=self.drilled.get(path, ()),
            )
            for path, stage in self.stages.sums.items()
            if stage.count
        )


def _is_stage(path: str, budget: Budget) -> bool:
    name = budget.stage or ""
    return path == name or (budget.former is None and path.endswith(f"/{name}"))


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
