"""Measures the test that runs: by the kernel's high-water mark as long as that is enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import TYPE_CHECKING

from pytest_memguard.allocator.free_lists import clear_free_lists
from pytest_memguard.clock import Clock
from pytest_memguard.judge.peak_bounds import marked_peak
from pytest_memguard.judge.slack_thresholds import RSS_RESOLUTION, SlackThresholds
from pytest_memguard.measure.current_test import CurrentTest, PhaseState
from pytest_memguard.measure.plain_phases import plain_phases
from pytest_memguard.measure.region import dropped
from pytest_memguard.measure.requirements import (
    NO_LIMIT_TOLERANCE,
    NOTABLE_RISE_BYTES,
    Requirements,
)
from pytest_memguard.model.measurements import MarkedPhaseNumbers, PhaseReading

if TYPE_CHECKING:
    from typing import Any

    from pytest_memguard.extension import Readings
    from pytest_memguard.measure.detail import DetailedMeasurement
    from pytest_memguard.measure.instruments import Instruments
    from pytest_memguard.measure.stage_log import StageLog
    from pytest_memguard.model.measurements import Budget, Finding, PhaseName
    from pytest_memguard.probes.peak_rss import PeakRss


class Measurement:
    """Measures tests, one after the other, with the kernel's high-water mark.

    A limit that needs another instrument, a stage, or a peak that is not clearly within its
    limit calls for a `DetailedMeasurement`, which goes on from what is known of the test.

    Args:
        state: what is known of the test.
        instruments: the instruments of the process.
        make_detail: makes what measures more.
        judge: asks the checks what there is to say about a phase.
    """

    _mark: PeakRss

    def __init__(
        self,
        state: CurrentTest,
        instruments: Instruments,
        make_detail: Callable[[Requirements], DetailedMeasurement],
        judge: Callable[[WithinLimits, PhaseName], list[Finding]],
    ) -> None:
        self._now = Clock.seconds
        self._ask_checks = judge
        self.state = state
        self._instruments = instruments
        self._make_detail = make_detail
        if instruments.mark is not None:
            self._mark = instruments.mark
        self._plain = plain_phases(state, instruments)

    def begin_test(self, item: Any, plan: Any, requirements: Requirements) -> None:
        """Begin with a test.

        Args:
            item: the test.
            plan: what the checks have planned for it.
            requirements: what it is measured for.
        """
        self.state.begin(item, plan, requirements)
        if requirements.detailed or self._instruments.mark is None:
            self._add_detail()

    def plan_again(self, plan: Any, requirements: Requirements) -> None:
        """Go on for another plan; setup has been measured."""
        state = self.state
        state.plan, state.requirements = plan, requirements
        state.setup_exceeds_limit = False
        self._weigh_setup()
        if state.detail is not None or requirements.detailed:
            state.findings, state.notes = [], []
            for phase in state.begun():
                phase.region.keep_first_meter()
            self._add_detail()

    @property
    def _requirements(self) -> Requirements:
        found = self.state.requirements
        if found is None:
            msg = "no test is measured"
            raise RuntimeError(msg)
        return found

    # Tests that something else has measured so far

    def begin_after_setup(self, base: int, rise: int) -> None:
        """Begin with a test whose setup has ended.

        Args:
            base: bytes of the level before it; 0 if that is not known.
            rise: bytes its peak lay above that.
        """
        setup = self.state.setup
        setup.begin(base or self._mark.reset())
        setup.region.note(0, setup.base + (rise if base else 0))
        setup.ended = True
        self._weigh_setup()

    def collect_late(self) -> None:
        """Collect garbage before the call if there is enough of it to matter."""
        setup = self.state.setup
        if self.state.detail is None and setup.begun and self._requirements.collects:
            before = self._mark.level()
            self._collect_garbage(setup.base)
            # what went was none of the test's
            setup.region.lower(before - self._mark.level())

    def rose_in_setup(self, rise: int) -> None:
        """Note bytes by which a mark that was not reset rose in setup, at least."""
        self._weigh_setup(rise)

    def begin_bounded_call(self, before: int, after: int, started: float) -> None:
        """Go on in the middle of a call from a mark that was not reset.

        Args:
            before: bytes of the mark when the call began; as many may have been free.
            after: bytes of the mark now.
            started: when the call began.
        """
        state = self.state
        for phase in (state.setup, state.call):
            phase.begin(before)
        state.setup.ended = True
        state.call.region.note(0, after)
        state.call.region.started = started
        state.call.slack = before
        state.open = "call"
        if self.state.detail is None:
            self._add_detail()
        else:
            state.setup.slack = before
            self._hand_over_to(self.state.detail)

    def begin_late(self, phase: PhaseName) -> None:
        """Start measuring in the middle of a phase of a test that was not measured so far."""
        state = self.state
        state.open = phase
        if self.state.detail is not None:
            self.state.detail.begin(phase)
            return
        base = self._instruments.base if phase == "setup" else 0
        self._instruments.base = 0
        base = base or self._mark.reset()
        state.setup.begin(base)
        here = state.phase(phase)
        here.begin(base)
        self._instruments.collection_watch.begin(here.region)
        here.region.started = self._now()

    # The phases

    def begin(self, phase: PhaseName) -> None:
        """Start measuring a phase."""
        state, start, detail = self.state, self._now(), self.state.detail
        state.open = phase
        if self._plain is not None and self._plain.begin(phase, start):
            return
        if detail is not None:
            detail.begin(phase)
            return
        requirements, here = self._requirements, state.phase(phase)
        self._mark.start()
        thresholds = requirements.thresholds.get(phase)
        if thresholds is not None or requirements.bounds:
            if not self._begin_bounded(here, thresholds):
                return
        elif phase != "teardown":  # of which only the level after it is reported
            self._begin_marked(here)
        end = here.region.started = self._now()
        state.overhead += end - start

    def _begin_marked(self, phase: PhaseState) -> None:
        """Know where the mark is: where it was reset to after the test before, or here."""
        instruments, base = self._instruments, 0
        if phase.name == "setup":
            base, instruments.base = instruments.base, 0
        if not base:
            instruments.settle(NO_LIMIT_TOLERANCE)
            base = self._mark.reset()
        if phase.name == "setup" and self._requirements.collects:
            base = self._collect_garbage(base)
        phase.begin(base)
        instruments.collection_watch.begin(phase.region)

    def _begin_bounded(self, phase: PhaseState, thresholds: SlackThresholds | None) -> bool:
        """Reset the peak and bound the slack; return whether the mark suffices here."""
        instruments = self._instruments
        tolerance = NO_LIMIT_TOLERANCE if thresholds is None else thresholds.ignore
        instruments.settle(tolerance)
        given_back = instruments.give_back(tolerance)
        requirements = self._requirements
        if phase.name == "call" and thresholds is not None:
            instruments.reserve_free_chunks(always=requirements.record)
        base = self._mark.reset()
        if phase.name == "setup" and requirements.collects:
            base = self._collect_garbage(base)
        phase.begin(base)
        self._note_filled(phase, -given_back)
        instruments.collection_watch.begin(phase.region)
        estimator = instruments.slack_estimator
        if estimator is None:
            return True
        if thresholds is None:
            phase.slack = estimator.bound(base, tolerance, inf, fill=False)
            self._note_foreign(phase)
            return True
        if self._leaves_slack(phase, thresholds):
            self._note_foreign(phase)
            return True
        slack = estimator.bound(base, thresholds.fill_permanently, thresholds.use_tracker)
        if slack > thresholds.fill_temporarily:
            slack = estimator.fill_temporarily(
                base, slack, thresholds.fill_permanently, thresholds.fill_temporarily
            )
        if estimator.has_filled():
            self._after_filling(phase)
        phase.slack = slack
        self._note_foreign(phase)
        if slack > thresholds.use_tracker and instruments.tracker_share.allows(
            self.state.nodeid, can_be_measured_again=requirements.can_be_measured_again
        ):
            instruments.collection_watch.end()
            phase.begun = False
            self.state.open = None  # it begins there
            detail = self._add_detail()
            self.state.open = phase.name
            detail.begin(phase.name)
            return False
        return True

    def _leaves_slack(self, phase: PhaseState, thresholds: SlackThresholds) -> bool:
        """Bound the slack before a phase, if it may stay where it is; whether it does."""
        instruments, requirements = self._instruments, self._requirements
        estimator = instruments.slack_estimator
        if estimator is None or not requirements.may_leave_slack:
            return False
        limit = min(requirements.resident["call"], requirements.call_no_finding_below)
        stays = instruments.screen.most(int(limit))
        if stays:
            phase.slack = estimator.bound(phase.base, thresholds.ignore, stays, fill=False)
        return phase.slack <= stays > 0

    def _after_filling(self, phase: PhaseState) -> None:
        """Reset the peak again where the filler has touched pages: no test has grown by them.

        Args:
            phase: what is about to begin.
        """
        after, before = self._mark.reset(), phase.base
        phase.region.begin_again(after)
        self._instruments.collection_watch.begin(phase.region)
        self._instruments.grown_by_us(after - before)
        self._note_filled(phase, after - before)

    def _note_filled(self, phase: PhaseState, size: int) -> None:
        """Note by how many bytes measuring has raised the level before a phase."""
        phase.filled_before += size
        if phase.name != "setup":  # whose level is the one after that
            self.state.filled += size

    def _note_foreign(self, phase: PhaseState) -> None:
        """Note what other allocators may hold free when a phase begins, if that matters."""
        estimator = self._instruments.slack_estimator
        if estimator is not None and self._requirements.counts_foreign:
            phase.foreign = estimator.foreign

    def _collect_garbage(self, base: int) -> int:
        """Collect garbage if there is enough to matter; the base is another one then."""
        requirements = self._requirements
        often = requirements.record
        if self._instruments.collect_if_grown(base, requirements.tolerance, often=often):
            base = self._mark.reset()
        return base

    def end(self, phase: PhaseName) -> list[Finding] | None:
        """Stop measuring a phase, and judge it; nothing where nothing was found."""
        start = self._now()
        try:
            if self._plain is not None and self._plain.end(phase, start):
                return None
            return self._end(phase, start)
        finally:
            self.state.open = None

    def _end(self, phase: PhaseName, start: float) -> list[Finding] | None:
        state = self.state
        detail = self.state.detail
        if detail is not None:
            return self._end_detailed(detail, phase)
        here = state.phase(phase)
        if here.begun:
            here.region.seconds = start - here.region.started
            if not self._end_marked(here):
                self._add_detail()
                return self._end(phase, start)
        found: list[Finding] = []
        if phase == "teardown":
            self._end_test()
            if self._requirements.growth:
                found = self._ask_checks(WithinLimits(self), phase)
        state.overhead += self._now() - start
        if found:
            self.detail_now()
            state.findings += found
        return found or None

    def _end_detailed(self, detail: DetailedMeasurement, phase: PhaseName) -> list[Finding]:
        found = detail.end(phase)
        if phase == "setup":
            self._weigh_setup()
        elif phase == "teardown" and self._instruments.mark is not None:
            self._instruments.base = self._mark.reset()
            self._mark.start()
        return found

    def _end_marked(self, here: PhaseState) -> bool:
        """Read the mark at the end of a phase; whether no check finds anything in it."""
        instruments, requirements = self._instruments, self._requirements
        region = here.region
        instruments.collection_watch.end_marked(region, self._mark.mark())
        if here.name == "call":
            if instruments.settle.cheap:  # it would note its cost, in what is filled
                instruments.settle.trim()
            else:
                instruments.settle(requirements.tolerance)
            start = min(here.base, self.state.setup.base)
            here.dropped = dropped(start, self._mark.level(), region.most_freed)
        rise, here.ended = region.rise(), True
        instruments.release_free_chunks()
        if self._mark.lost:
            return False
        most = requirements.no_finding_below.get(here.name, inf)
        if rise + here.slack + here.hidden > most:
            if rise <= most and instruments.screen.is_open:
                instruments.screen.note_doubt()
            return False
        if here.name == "setup":
            self._weigh_setup()
        if rise > NOTABLE_RISE_BYTES and instruments.slack_estimator is not None:
            self._release(here)
            instruments.slack_estimator.note_use(rise)
        return True

    def _weigh_setup(self, rise: int | None = None) -> None:
        """Note whether setup has used more than a limit that covers the call alone.

        Args:
            rise: bytes of its peak; ``None`` for what was measured.
        """
        rise = self.rise("setup") if rise is None else rise
        if rise > self._requirements.call_only_limit:
            self.state.setup_exceeds_limit = True

    def _release(self, here: PhaseState) -> None:
        """Give up what was filled before the test's report is made, which stays."""
        estimator = self._instruments.slack_estimator
        here.filled = estimator.release() if estimator is not None else 0
        self.state.filled -= here.filled

    def _end_test(self) -> None:
        """Note the level after the test, and reset the peak unless it is hardly higher."""
        self._mark.start()
        after, start = self._mark.level(), self.state.setup.base
        # read once more: teardown may have raised it since
        moved = self._mark.mark() - after > RSS_RESOLUTION or after - start > RSS_RESOLUTION
        requirements = self._requirements
        if requirements.record and moved:
            clear_free_lists()  # each of those objects may hold an arena
        if requirements.bounds or moved:
            self._instruments.settle(NO_LIMIT_TOLERANCE)  # free pages are no growth
            after = self._mark.reset()
            if requirements.collects:
                after = self._collect_garbage(after)
        self.state.after = self._instruments.base = after

    # What is known of the test

    def stage_log(self) -> StageLog:
        """The log the test's stages go to."""
        return self.detail_now().stages

    @property
    def detail(self) -> DetailedMeasurement | None:
        """What measures more than the high-water mark shows, if that is needed."""
        found: DetailedMeasurement | None = self.state.detail
        return found

    def detail_now(self) -> DetailedMeasurement:
        """What measures more; from now on it is what measures the test."""
        return self.state.detail or self._add_detail()

    @property
    def lost(self) -> str:
        """Why resident memory is not known; empty if it is."""
        # a phase in which the mark was lost has called for what measures more
        return "" if self.state.detail is None else self._instruments.resident.lost

    def rise(self, phase: PhaseName) -> int:
        """Bytes of resident memory a phase's peak lay above its start; 0 if it did not run."""
        here = self.state.phase(phase)
        return here.region.rise() if here.begun else 0

    def peak_and_growth(self) -> tuple[int, int]:
        """Bytes of the call's peak (or setup's, without a call), and of what stayed so far."""
        state = self.state
        if state.detail is not None:
            found: tuple[int, int] = state.detail.peaks.peak_and_growth()
            return found
        main = (state.call if state.call.begun else state.setup).region
        level = state.after or state.begun()[-1].base
        growth = level - state.setup.region.levels[0] - state.filled
        return main.highs[0] - main.levels[0], growth

    def phase_readings(self) -> tuple[PhaseReading, ...]:
        """What was measured, phase by phase."""
        detail = self.detail
        if detail is not None:
            return detail.phase_readings()
        method = self._mark.method
        return tuple(
            PhaseReading(
                name=name,
                seconds=seconds,
                level=level,
                growth=growth,
                peaks=(marked_peak(rise, high - rise, method),),
            )
            for name, seconds, level, growth, rise, high in self.marked_numbers()
        )

    def marked_numbers(self) -> list[MarkedPhaseNumbers]:
        """What the mark has shown of every phase that has ended, if nothing else was read."""
        found: list[MarkedPhaseNumbers] = []
        state, after = self.state, self.state.after
        for here in (state.teardown, state.call, state.setup):
            if not here.begun:
                continue
            region = here.region
            level, high = region.levels[0], region.highs[0]
            if here.ended:
                most = max(region.top, high) + here.slack + here.dropped + here.foreign
                growth = (after or level - here.filled) + here.filled - level
                found.append(
                    (here.name, region.seconds, level, growth, high - level, most - level)
                )
            after = level - here.filled_before
        found.reverse()
        return found

    def _levels(self) -> list[tuple[PhaseState, int]]:
        """Every phase with the level after it, what was filled for it in both."""
        begun = self.state.begun()
        afters = [phase.base - phase.filled_before for phase in begun[1:]]
        afters += [self.state.after or begun[-1].base - begun[-1].filled] if begun else []
        return [(here, after + here.filled) for here, after in zip(begun, afters, strict=True)]

    def _add_detail(self) -> DetailedMeasurement:
        state = self.state
        detail = state.detail = self._make_detail(self._requirements)
        if state.open == "teardown" and not state.teardown.begun:
            state.teardown.begin(self._mark.reset())
        self._hand_over_to(detail)
        return detail

    def _hand_over_to(self, detail: DetailedMeasurement) -> None:
        """Let what measures more go on from here."""
        for here, after in self._levels():
            if here.name == self.state.open:
                self._instruments.collection_watch.pass_on(detail.recorder)
                detail.go_on(here.region)
            elif not here.region.after:
                here.region.after = [after]


class WithinLimits:
    """Stands for what judges a phase where the high-water mark has shown that limits hold.

    Args:
        measurement: of the test.
    """

    def __init__(self, measurement: Measurement) -> None:
        self._measurement = measurement

    @property
    def lost(self) -> str:
        """Why resident memory is not known; empty if it is."""
        return self._measurement.lost

    def peak_and_growth(self) -> tuple[int, int]:
        """Bytes of the call's peak (or setup's, without a call), and of what stayed so far."""
        return self._measurement.peak_and_growth()

    def readings(self) -> Readings:
        """Nothing: a check that reads more has more measured."""
        from pytest_memguard.extension import Readings

        return Readings({})

    def judge_limits(self, limits: Sequence[Budget]) -> list[Finding]:  # noqa: ARG002
        """Nothing: the peak is clearly within them."""
        return []

    def judge_stage_budgets(self) -> list[Finding]:
        """Nothing: there has been no stage."""
        return []
