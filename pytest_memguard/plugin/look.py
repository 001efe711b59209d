"""The look at a test of any kind: with the kernel's mark as long as that is enough."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Any, Final

from pytest_memguard.allocator.free_lists import clear_free_lists
from pytest_memguard.clock import Clock
from pytest_memguard.judge.peak_bounds import marked_peak
from pytest_memguard.judge.slack_thresholds import RSS_RESOLUTION, SlackThresholds
from pytest_memguard.measure.region import Region, dropped
from pytest_memguard.model import PhaseReading
from pytest_memguard.plugin.needs import NO_LIMIT_TOLERANCE, NOTABLE_RISE_BYTES, Demands

if TYPE_CHECKING:
    from pytest_memguard.measure.instruments import Instruments
    from pytest_memguard.measure.stages import StageLog
    from pytest_memguard.model import Finding, PhaseName
    from pytest_memguard.plugin.measuring import Measurement
    from pytest_memguard.probes.peak_rss import PeakRss

_seconds = Clock.seconds
_BEFORE_CALL_ENDS: Final[tuple[PhaseName, ...]] = ("setup", "call")


class _Phase:
    """What is known of one phase, in bytes and seconds.

    It has all its places from the start: one that is added while slack is filled may open an
    arena, which is then kept alive.

    Args:
        base: where the mark was put back to.

    Attributes:
        base: where the mark was put back to.
        arrival: where it was before slack was filled.
        rise: how far the mark rose above the base.
        slack: bytes of it at the start, at most.
        hidden: what older memory that was freed meanwhile may hide of the rise, at most.
        watched: what is known of garbage collections in it that freed something, once it has
            ended.
        filled: by how much a filler that went at the end had made the process larger.
        seconds: how long it took.
        ended: whether it has ended.
    """

    __slots__ = (
        "arrival",
        "base",
        "ended",
        "filled",
        "hidden",
        "rise",
        "seconds",
        "slack",
        "watched",
    )

    def __init__(self, base: int) -> None:
        self.base = self.arrival = base
        self.rise = self.slack = self.hidden = self.filled = 0
        self.watched: Region | None = None
        self.seconds = 0.0
        self.ended = False


class Look:
    """Measures one test with the kernel's mark, and calls in more when there is a reason.

    Reasons are a budget that needs another instrument, a stage, a peak that is not clearly
    within its budget. `Measurement` takes over then, from where this one is.

    Args:
        demands: what is asked for.
        instruments: the process's.
        item: the test.
        call_in: makes what measures more.

    Attributes:
        item: the test.
        plan: the test's budgets.
    """

    _mark: PeakRss
    detail: Measurement | None = None
    """What has taken over."""
    setup_was_too_much = False
    """Whether setup rose above a budget that covers the call alone."""
    _after = 0
    _filled = 0
    _overhead = 0.0
    _started = 0.0
    open: PhaseName | None = None
    """The phase that lasts."""

    def __init__(
        self,
        demands: Demands,
        instruments: Instruments,
        item: Any,
        call_in: Callable[[Any, Demands], Measurement],
    ) -> None:
        self._demands = demands
        self.plan = demands.plan
        self._instruments = instruments
        self.item = item
        self._make_detail = call_in
        self._phases: dict[PhaseName, _Phase] = {}
        if instruments.mark is not None:
            self._mark = instruments.mark
        if demands.detailed or instruments.mark is None:
            self._call_in()

    def plan_again(self, demands: Demands) -> None:
        """Go on with other budgets; setup has been measured."""
        self._demands = demands
        self.plan = demands.plan
        self.setup_was_too_much = False
        self._weigh_setup(self.rise("setup"))
        if self.detail is not None or demands.detailed:
            self._call_in()

    # What another look, or none, has measured so far

    def adopt_setup(self, base: int, rise: int) -> None:
        """Take over when setup has been measured.

        Args:
            base: bytes of the level before it; 0 if that is not known.
            rise: bytes its peak lay above that.
        """
        setup = self._note_base("setup", base or self._mark.reset())
        setup.rise, setup.ended = rise if base else 0, True
        self._weigh_setup(setup.rise)

    def collect_late(self) -> None:
        """Collect garbage before the call if there is enough of it to matter."""
        setup = self._phases.get("setup")
        if setup is not None and self._demands.collects:
            before = self._mark.level()
            self._collect_garbage(setup.base)
            setup.base -= before - self._mark.level()  # what went was none of the test's

    def adopt_call(
        self,
        base: int,
        rise: int,
        slack: int,
        started: float,
        seconds: float,
        *,
        is_open: bool,
    ) -> None:
        """Take over when the call has begun, or ended.

        Args:
            base: bytes of the level before it.
            rise: bytes its peak lay above that, if it has ended.
            slack: bytes that were free inside the process at most.
            started: when it began.
            seconds: how long it took, if it has ended.
            is_open: whether it still lasts.
        """
        call = self._note_base("call", base)
        call.rise, call.slack, call.seconds = rise, slack, seconds
        call.ended = not is_open
        self._started = started
        self.open = "call" if is_open else None

    def rose_in_setup(self, rise: int) -> None:
        """Take over from a mark that was not reset.

        Args:
            rise: bytes by which it rose in setup: the peak lay as high at least.
        """
        self._weigh_setup(rise)

    def adopt_bounded_call(self, before: int, after: int, started: float) -> None:
        """Take over in the call from a mark that was not reset.

        Args:
            before: bytes of the mark when the call began.
            after: bytes of the mark now.
            started: when the call began.
        """
        if self.detail is None:
            self._note_base("setup", before).ended = True
            self.adopt_call(before, after - before, before, started, 0.0, is_open=True)
            self._call_in()
            return
        for phase in _BEFORE_CALL_ENDS:
            region = Region()
            region.begin([before])
            is_open = phase == "call"
            if is_open:
                region.note(0, after)
                region.started = started
            else:
                region.after = [before]
            self.detail.adopt(phase, region, before, is_open=is_open)
        self.open = "call"

    def begin_late(self, phase: PhaseName) -> None:
        """Start measuring in the middle of a phase of a test that was not measured so far."""
        self.open = phase
        if self.detail is not None:
            self.detail.begin(phase)
            return
        base = self._instruments.base if phase == "setup" else 0
        self._instruments.base = 0
        base = base or self._mark.reset()
        self._instruments.collection_watch.begin(base)
        self._note_base("setup", base)
        self._note_base(phase, base)
        self._started = _seconds()

    # The phases

    def begin(self, phase: PhaseName) -> None:
        """Start measuring a phase."""
        self.open = phase
        if self.detail is not None:
            self.detail.begin(phase)
            return
        start = _seconds()
        self._mark.start()
        thresholds = self._demands.thresholds.get(phase)
        if thresholds is not None or self._demands.bounds:
            if not self._begin_bounded(phase, thresholds):
                return
        elif phase != "teardown":  # of which only the level after it is reported
            self._begin_marked(phase)
        self._started = end = _seconds()
        self._overhead += end - start

    def _begin_marked(self, phase: PhaseName) -> None:
        """Know where the mark is: where it was put back to after the test before, or here."""
        instruments, base = self._instruments, 0
        if phase == "setup":
            base, instruments.base = instruments.base, 0
        if not base:
            instruments.settle(NO_LIMIT_TOLERANCE)
            base = self._mark.reset()
        if phase == "setup" and self._demands.collects:
            base = self._collect_garbage(base)
        instruments.collection_watch.begin(base)
        self._note_base(phase, base)

    def _note_base(self, phase: PhaseName, base: int) -> _Phase:
        found = self._phases[phase] = _Phase(base)
        return found

    def _begin_bounded(self, phase: PhaseName, thresholds: SlackThresholds | None) -> bool:
        """Reset the peak and bound the slack; return whether the mark suffices here."""
        instruments = self._instruments
        tolerance = NO_LIMIT_TOLERANCE if thresholds is None else thresholds.ignore
        instruments.settle(tolerance)
        demands = self._demands
        if phase == "call" and demands.needs.record:
            instruments.reserve_free_chunks()
        base = self._mark.reset()
        if phase == "setup" and demands.collects:
            base = self._collect_garbage(base)
        instruments.collection_watch.begin(base)
        found = self._note_base(phase, base)
        estimator = instruments.slack_estimator
        if estimator is None:
            return True
        if thresholds is None:
            found.slack = estimator.bound(base, tolerance, inf, fill=False)
            return True
        slack = estimator.bound(base, thresholds.fill_permanently, thresholds.use_tracker)
        if slack > thresholds.fill_temporarily:
            slack = estimator.fill_temporarily(
                base, slack, thresholds.fill_permanently, thresholds.fill_temporarily
            )
        if estimator.has_filled():
            self._after_filling(phase, found)
        found.slack = slack
        if slack > thresholds.use_tracker:
            instruments.collection_watch.end()
            del self._phases[phase]
            self.open = None  # it begins there
            detail = self._call_in()
            self.open = phase
            detail.begin(phase)
            return False
        return True

    def _after_filling(self, phase: PhaseName, found: _Phase) -> None:
        """Reset the peak again where the filler has touched pages: no test has grown by them.

        Args:
            phase: what is about to begin.
            found: what is known of it.
        """
        after = self._mark.reset()
        self._instruments.collection_watch.begin(after)
        filled = after - found.base
        found.base = after
        self._instruments.grown_by_us(filled)
        if phase != "setup":  # whose level is the one after that
            self._filled += filled

    def _collect_garbage(self, base: int) -> int:
        """Collect garbage if there is enough to matter; the base is another one then."""
        demands = self._demands
        often = demands.needs.record
        if self._instruments.collect_if_grown(base, demands.tolerance, often=often):
            base = self._mark.reset()
        return base

    def end(self, phase: PhaseName) -> list[Finding] | None:
        """Stop measuring a phase, and judge it; nothing where nothing was found."""
        found = self._end(phase)
        self.open = None
        return found

    def _end(self, phase: PhaseName) -> list[Finding] | None:
        if self.detail is not None:
            found = self.detail.end(phase)
            if phase == "setup":
                self._weigh_setup(self.detail.measured.rise(phase))
            elif phase == "teardown" and self._instruments.mark is not None:
                self._instruments.base = self._mark.reset()
                self._mark.start()
            return found
        start = _seconds()
        here = self._phases.get(phase)
        if here is not None:
            here.seconds = start - self._started
            if not self._end_marked(phase, here):
                self._call_in()
                return self._end(phase)
        if phase == "teardown":
            self._end_test()
        self._overhead += _seconds() - start
        return None

    def _end_marked(self, phase: PhaseName, here: _Phase) -> bool:
        """Read the mark at the end of a phase; whether no judge has a word to say about it."""
        instruments, mark = self._instruments, self._mark.mark()
        watched = instruments.collection_watch.end_marked(mark)
        if watched is None:  # the phase began before a budget asked for it
            here.rise = max(0, mark - here.base)
        else:
            here.rise, here.hidden = watched.rise(), watched.hidden()
            here.watched = None if watched.is_plain else watched
        if phase == "call":
            if instruments.settle.cheap:  # it would note its cost, in what is filled
                instruments.settle.trim()
            else:
                instruments.settle(self._demands.tolerance)
            freed = watched.most_freed if watched is not None else 0
            start = min(here.base, self._phases["setup"].base)
            here.hidden += dropped(start, self._mark.level(), freed)
        rise, here.ended = here.rise, True
        if self._demands.needs.record:
            instruments.release_free_chunks()
        if self._mark.lost:
            return False
        plan = self.plan
        if plan is not None:
            if rise + here.slack + here.hidden > plan.quiet.get(phase, inf):
                return False
            if phase == "setup":
                self._weigh_setup(rise)
        if rise > NOTABLE_RISE_BYTES and instruments.slack_estimator is not None:
            self._release(here)
            instruments.slack_estimator.note_use(rise)
        return True

    def _weigh_setup(self, rise: int) -> None:
        if self.plan is not None and rise > self.plan.call_only_limit:
            self.setup_was_too_much = True

    def _release(self, here: _Phase) -> None:
        """Give up what was filled before the test's report is made, which stays."""
        estimator = self._instruments.slack_estimator
        here.filled = estimator.release() if estimator is not None else 0
        self._filled -= here.filled

    def _end_test(self) -> None:
        """Note the level after the test, and put the mark back unless it is hardly higher."""
        self._mark.start()
        after, start = self._mark.level(), self._phases["setup"].base
        # read once more: teardown may have raised it since
        moved = self._mark.mark() - after > RSS_RESOLUTION or after - start > RSS_RESOLUTION
        if self._demands.needs.record and moved:
            clear_free_lists()  # each of those objects may hold an arena
        if self._demands.bounds or moved:
            self._instruments.settle(NO_LIMIT_TOLERANCE)  # free pages are no growth
            after = self._mark.reset()
            if self._demands.collects:
                after = self._collect_garbage(after)
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
    def lost(self) -> str:
        """Why nothing tells resident memory; empty if something does."""
        return self._instruments.resident.lost

    def rise(self, phase: PhaseName) -> int:
        """Bytes of resident memory a phase's peak lay above its start; 0 if it did not run."""
        if self.detail is not None:
            return self.detail.measured.rise(phase)
        here = self._phases.get(phase)
        return here.rise if here is not None else 0

    def peak_and_growth(self) -> tuple[int, int]:
        """Bytes of the call's peak (or setup's, without a call), and of what stayed so far."""
        if self.detail is not None:
            return self.detail.measured.peak_and_growth()
        setup = self._phases["setup"]
        main = self._phases.get("call", setup)
        level = self._after or next(reversed(self._phases.values())).base
        return main.rise, level - setup.base - self._filled

    def phase_readings(self) -> tuple[PhaseReading, ...]:
        """What was measured, phase by phase."""
        if self.detail is not None:
            return self.detail.phase_readings()
        return tuple(
            PhaseReading(
                name=name,
                seconds=here.seconds,
                level=here.base,
                growth=after - here.base,
                peaks=(marked_peak(here.rise, here.slack + here.hidden, self._mark.method),),
            )
            for name, here, after in self._levels()
            if here.ended
        )

    def _levels(self) -> list[tuple[PhaseName, _Phase, int]]:
        """Every phase with the level after it, what was filled for it in both."""
        phases = list(self._phases.values())
        afters = [phase.arrival for phase in phases[1:]]
        afters += [self._after or phases[-1].base - phases[-1].filled] if phases else []
        return [
            (name, here, after + here.filled)
            for (name, here), after in zip(self._phases.items(), afters, strict=True)
        ]

    def _call_in(self) -> Measurement:
        detail = self.detail = self._make_detail(self.item, self._demands)
        if self.open == "teardown" and "teardown" not in self._phases:
            self._note_base("teardown", self._mark.reset())
        for name, here, after in self._levels():
            known = here.watched
            if name == self.open and known is None:
                known = self._instruments.collection_watch.pass_on(detail.recorder)
            region = known or Region()
            if known is None:
                region.begin([here.base])
                region.note(0, here.base + here.rise)
            if name == self.open:
                region.started = self._started
            else:
                region.after = [after]
            region.seconds = here.seconds
            detail.adopt(name, region, here.slack, is_open=name == self.open)
        return detail
