"""The look at a test that decides almost all of them: a few system calls a phase, no more."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Final, cast

from pytest_memguard.clock import Clock
from pytest_memguard.judge.room import FOR_RECORD, GRAIN, Precision, marked_peak
from pytest_memguard.model import PhaseReading
from pytest_memguard.plugin.measuring import NO_LIMIT_TOLERANCE, Measurement, Needs
from pytest_memguard.recording.free_lists import clear_free_lists, full_collections
from pytest_memguard.recording.recorder import Region
from pytest_memguard.recording.stages import Host, StageLog, forget_open_stages, set_current

if TYPE_CHECKING:
    from pytest_memguard.model import Finding, PhaseName
    from pytest_memguard.plugin.plans import Plan
    from pytest_memguard.probes.peak_rss import KernelMark
    from pytest_memguard.recording.instruments import Instruments
    from pytest_memguard.recording.room_watch import RoomWatch

# What a test must have used for its free lists and its last blocks to be worth giving back.
_MUCH: Final = 2 * GRAIN


class Look:
    """Measures one test with the kernel's mark, and calls in more when there is a reason.

    Reasons are a budget that needs another instrument, a stage, a peak that is not clearly
    within its budget. `Measurement` takes over then, from where this one is.

    Args:
        plan: the test's budgets; ``None`` if it only takes part in the report.
        instruments: the process's.
        needs: what else is asked for.
        memray_in_use: says why memray must not be used unless asked for, if so.
        wants_stages: whether stages without a budget are of interest too.
        bounds: whether peaks need an upper bound where there is no budget.
    """

    __slots__ = (
        "_after",
        "_arrivals",
        "_bases",
        "_bounds",
        "_collections",
        "_collects",
        "_filled",
        "_garbage",
        "_host_before",
        "_instruments",
        "_laid",
        "_mark",
        "_memray_in_use",
        "_needs",
        "_now",
        "_open",
        "_overhead",
        "_rises",
        "_rooms",
        "_seconds",
        "_started",
        "_tolerance",
        "detail",
        "plan",
        "wants_stages",
    )

    def __init__(
        self,
        plan: Plan | None,
        instruments: Instruments,
        needs: Needs,
        memray_in_use: Callable[[], str],
        *,
        wants_stages: bool = True,
        bounds: bool = False,
    ) -> None:
        self._bounds = bounds
        self.plan = plan
        self.wants_stages = wants_stages
        self.detail: Measurement | None = None
        self._instruments = instruments
        self._needs = needs
        self._memray_in_use = memray_in_use
        self._now = Clock.seconds
        self._after = self._laid = self._garbage = self._collections = 0
        self._bases: dict[PhaseName, int] = {}
        self._arrivals: dict[PhaseName, int] = {}
        self._rises: dict[PhaseName, int] = {}
        self._rooms: dict[PhaseName, int] = {}
        self._seconds: dict[PhaseName, float] = {}
        self._overhead = 0.0
        self._filled: dict[PhaseName, int] = {}
        self._collects = needs.record or (plan is not None and bool(plan.limits))
        self._tolerance = self._needed_tolerance()
        self._open: PhaseName | None = None
        self._host_before: Host | None = None
        # never used where there is none: the detail measures all of the test then
        self._mark = cast("KernelMark", instruments.mark)
        if needs.track or instruments.mark is None or (plan is not None and plan.special):
            self._call_in()

    def plan_again(self, plan: Plan | None) -> None:
        """Go on with other budgets; setup has been measured."""
        self.plan = plan
        self._collects = self._needs.record or (plan is not None and bool(plan.limits))
        self._tolerance = self._needed_tolerance()
        if self.detail is not None or (plan is not None and plan.special):
            self._call_in()

    def _needed_tolerance(self) -> int:
        """Bytes of garbage that do not matter."""
        if self.plan is not None and self.plan.limits:
            return self.plan.tolerance
        return FOR_RECORD.enough

    def begin(self, phase: PhaseName) -> None:
        """Start measuring a phase."""
        if self.detail is not None:
            self.detail.begin(phase)
            return
        start = self._now()
        precision = self._needs.precision(self.plan, phase)
        self._open = phase
        if precision is not None or self._bounds:
            if not self._begin_bounded(phase, precision):
                return
        elif phase != "teardown":  # of which nobody asks more than the level after it
            base = self._instruments.take_base() if phase == "setup" else 0
            if not base:
                self._instruments.settle(NO_LIMIT_TOLERANCE)
                base = self._mark.reset()
            self._bases[phase] = self._without_garbage(base) if phase == "setup" else base
        if phase == "setup":
            forget_open_stages()
        self._host_before = set_current(self)
        self._started = end = self._now()
        self._overhead += end - start

    def _begin_bounded(self, phase: PhaseName, precision: Precision | None) -> bool:
        """Put the mark back and bound the free room; whether the mark is enough here."""
        mark, instruments = self._mark, self._instruments
        tolerance = NO_LIMIT_TOLERANCE if precision is None else precision.enough
        instruments.settle(tolerance)
        base = mark.reset()
        if phase == "setup":
            base = self._without_garbage(base)
        watch = instruments.room
        if watch is None:
            pass
        elif precision is None:
            self._rooms[phase] = watch.bound(base, tolerance, inf, fill=False)
        else:
            room = watch.bound(base, precision.lay, precision.tracker)
            if room > precision.fill:
                room = watch.fill_briefly(base, room, precision.lay, precision.fill)
            base = self._after_filling(phase, base)
            self._rooms[phase] = room
            if self._garbage > tolerance:
                self._collections = full_collections()
                room += self._garbage
            if room > precision.tracker:
                self._open = None
                self._call_in().begin(phase)
                return False
        self._bases[phase] = base
        return True

    def _after_filling(self, phase: PhaseName, base: int) -> int:
        """Where the mark is: put back once more if ballast has touched pages.

        That is no growth of the test's.

        Args:
            phase: what is about to begin.
            base: where the mark was put back to before.
        """
        watch = self._instruments.room
        if watch is None or not watch.has_laid():
            return base
        self._arrivals[phase] = base
        after = self._mark.reset()
        self._instruments.grown_by_us(after - base)
        if phase != "setup":  # whose level is the one after it was laid
            self._laid += after - base
        return after

    def _without_garbage(self, base: int) -> int:
        """Collect garbage if there is enough to matter; the base is another one then."""
        if not self._collects:
            return base
        often = self._needs.record
        if self._instruments.collect_if_grown(base, self._tolerance, often=often):
            base = self._mark.reset()
        self._garbage = self._instruments.garbage_bound(base)
        return base

    def end(self, phase: PhaseName) -> list[Finding] | None:
        """Stop measuring a phase, and judge it; nothing where nothing was found."""
        if self.detail is not None:
            return self.detail.end(phase)
        start = self._now()
        self._seconds[phase] = start - self._started
        base = self._bases.get(phase)
        if base is not None:
            rise = self._rises[phase] = self._mark.mark() - base
            if self._collections:
                self._count_garbage(phase)
            plan = self.plan
            if plan is not None and rise + self._rooms.get(phase, 0) > plan.quiet.get(
                phase, inf
            ):
                return self._call_in().end(phase)
            watch = self._instruments.room
            if rise > _MUCH and watch is not None:
                self._release(watch, phase)
        set_current(self._host_before)
        self._open = None
        if phase == "teardown":
            self._end_test()
        self._overhead += self._now() - start
        return None

    def _count_garbage(self, phase: PhaseName) -> None:
        """Count old garbage as room if it was collected in this phase.

        Objects that have been there for a while go when all generations are collected.
        """
        if full_collections() != self._collections:
            self._rooms[phase] += self._garbage
        self._collections = 0

    def _release(self, watch: RoomWatch, phase: PhaseName) -> None:
        """Give up what was filled before the test's report is made, which stays."""
        raised = self._filled[phase] = watch.release()
        self._laid -= raised

    def _end_test(self) -> None:
        """Note the level after the test, and put the mark back unless it is hardly higher."""
        after, start = self._mark.level(), self._bases["setup"]
        last = next(reversed(self._bases))
        high = self._bases[last] + self._rises.get(last, 0)
        moved = high - after > GRAIN or after - start > GRAIN
        if self._needs.record and moved:
            clear_free_lists()  # each of those objects may hold an arena
        if self._bounds or moved:
            self._instruments.settle(NO_LIMIT_TOLERANCE)  # free pages are no growth
            after = self._without_garbage(self._mark.reset())
        self._after = self._instruments.base = after

    def stage_log(self) -> StageLog:
        """The log the test's stages go to."""
        return self.detail_now().stages

    def detail_now(self) -> Measurement:
        """The measurement that takes over; from now on it is the one that measures."""
        return self.detail or self._call_in()

    @property
    def overhead(self) -> float:
        """Seconds spent on measuring."""
        return self._overhead + (self.detail.overhead if self.detail is not None else 0.0)

    @property
    def begun(self) -> bool:
        """Whether any phase has been begun."""
        return bool(self._bases) or (self.detail is not None and self.detail.begun)

    def rise(self, phase: PhaseName) -> int:
        """Bytes of resident memory a phase's peak lay above its start; 0 if it did not run."""
        if self.detail is not None:
            return self.detail.rise(phase)
        return self._rises.get(phase, 0)

    def peak_and_growth(self) -> tuple[int, int]:
        """Bytes of the call's peak (or setup's, without a call), and of what stayed so far."""
        if self.detail is not None:
            return self.detail.peak_and_growth()
        peak = self._rises.get("call", self._rises.get("setup", 0))
        level = self._after or next(reversed(self._bases.values()))
        return peak, level - self._bases["setup"] - self._laid

    def phase_readings(self) -> tuple[PhaseReading, ...]:
        """What was measured, phase by phase."""
        if self.detail is not None:
            return self.detail.phase_readings()
        return tuple(
            PhaseReading(
                name=name,
                seconds=self._seconds[name],
                level=level,
                growth=after - level,
                peaks=(
                    marked_peak(self._rises[name], self._rooms.get(name, 0), self._mark.method),
                ),
            )
            for name, level, after in self._levels()
            if name in self._rises
        )

    def _levels(self) -> list[tuple[PhaseName, int, int]]:
        """Every phase with its level before and after, what was filled for it in both."""
        names, levels = list(self._bases), list(self._bases.values())
        afters = [self._arrivals.get(name, self._bases[name]) for name in names[1:]]
        afters.append(self._after or levels[-1] - self._filled.get(names[-1], 0))
        return [
            (name, level, after + self._filled.get(name, 0))
            for name, level, after in zip(names, levels, afters, strict=True)
        ]

    def _call_in(self) -> Measurement:
        detail = self.detail = Measurement(
            self.plan, self._instruments, self._needs, self._memray_in_use
        )
        if self._open == "teardown":
            self._bases.setdefault("teardown", self._mark.reset())
        for name, level, after in self._levels() if self._bases else ():
            region = Region()
            region.levels = [level]
            region.highs = [level + self._rises.get(name, 0)]
            region.seconds = self._seconds.get(name, 0.0)
            is_open = name == self._open
            if is_open:
                region.started = self._started
                detail.host_before = self._host_before
            else:
                region.after = [after]
            detail.adopt(name, region, self._rooms.get(name, 0), is_open=is_open)
        return detail
