"""The hooks around a test: a fast path where it has nothing but a budget on its call."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Protocol

import pytest

from pytest_memguard.allocator.trim import EXPENSIVE_SECONDS
from pytest_memguard.clock import Clock
from pytest_memguard.judge.slack_thresholds import RSS_RESOLUTION
from pytest_memguard.measure.requirements import NOTABLE_RISE_BYTES, Requirements
from pytest_memguard.plugin.last_failure import forget_last_failure
from pytest_memguard.plugin.properties import DELTA, PEAK, LimitProperties, forget_ours
from pytest_memguard.probes.ended_children import RUSAGE_CHILDREN
from pytest_memguard.probes.peak_rss import RESET_REQUEST
from pytest_memguard.sizes import KIB

if TYPE_CHECKING:
    from pytest_memguard.allocator.slack_estimator import SlackEstimator
    from pytest_memguard.measure.instruments import Instruments
    from pytest_memguard.plugin.children import ChildrenWatch
    from pytest_memguard.plugin.measured_tests import MeasuredTests
    from pytest_memguard.probes.peak_rss import PeakRss


class SlowPath(Protocol):
    """What is done about a test for which the fast path is not enough."""

    def set_up(self, item: pytest.Item) -> None:
        """A test has been set up that the fast path cannot take on."""

    def call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Measure a call."""

    def end_call(self, item: pytest.Item, *, failed: bool) -> None:
        """Go on at the end of a call."""

    def tear_down(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        """Measure teardown."""

    def end_test(self, item: pytest.Item, *, failed: bool) -> None:
        """Go on at the end of a test."""

    def do_children_matter(self, room: float) -> bool:
        """Whether children that have ended may have used up what a budget left over."""


class FastHooks:
    """Measures one test after the other, and says where the fast path is not enough.

    Most tests are over in less time than it takes to describe them, and what is done here is
    done around every one of them, in code and data that nothing else has just used: there a
    call to one more function costs a microsecond, and an object of its own for every test
    three. So what such a test needs is written out in the hooks, and stored in the one object
    with the state of the running test, from where the slow path goes on.

    The peak is reset before the call and after the test, and read at the end of setup as
    well, which began where the test before ended. ``getrusage`` returns the high-water mark,
    and the level where it has just been reset: in half the time that reading the level takes.

    Args:
        tests: knows what tests are measured for.
        slow: what is done where this is not enough.
        instruments: the instruments of the process.
        mark: the high-water mark of the kernel.
        estimator: bounds the slack.
        children: follows the descendants of tests.
    """

    __slots__ = (
        "_below_inherited",
        "_call",
        "_children",
        "_cpu",
        "_estimator",
        "_file",
        "_inherited_peak",
        "_instruments",
        "_level",
        "_limits",
        "_mark",
        "_markers",
        "_now",
        "_of_children",
        "_of_sys",
        "_reset_by_others",
        "_screen",
        "_settle",
        "_setup",
        "_slow",
        "_state",
        "_tests",
        "_thread",
        "_usage",
        "_watch_collections",
    )

    def __init__(
        self,
        tests: MeasuredTests,
        slow: SlowPath,
        instruments: Instruments,
        mark: PeakRss,
        estimator: SlackEstimator,
        children: ChildrenWatch,
    ) -> None:
        self._tests = tests
        self._state = tests.state
        self._setup, self._call = tests.state.setup, tests.state.call
        self._slow = slow
        self._children, self._of_children = children, RUSAGE_CHILDREN
        self._instruments = instruments
        self._mark = mark
        self._estimator = estimator
        self._watch_collections = instruments.collection_watch
        # held here, not looked up: tests replace what they find in modules
        self._usage, self._thread = mark.usage, mark.thread
        self._file, self._level = mark.file, mark.level
        resets = mark.resets
        self._reset_by_others = resets.poll if resets is not None else mark.reset_by_others
        self._inherited_peak, self._below_inherited = mark.inherited_peak, mark.below_inherited
        self._now: Callable[[], float] = Clock.seconds
        self._cpu: Callable[[], float] = Clock.cpu
        self._of_sys = vars(sys)
        self._settle, self._screen = instruments.settle, instruments.screen
        self._limits = LimitProperties()
        self._markers = 0

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Take on a test that has been set up; it began when the one before had ended."""
        tests, state, nodeid = self._tests, self._state, item.nodeid
        if tests.is_taken:
            return
        plan = tests.plans.get(nodeid, tests.default_plan)
        if (state.requirements is not None and not state.is_fast) or (
            item.own_markers and tests.marked.get(nodeid) != len(item.own_markers)
        ):
            self._slow.set_up(item)
            return
        if plan is None:
            return
        instruments, requirements = self._instruments, tests.last_requirements
        if plan is not tests.last_plan:
            requirements = tests.requirements_of(plan, nodeid)
        if "last_value" in self._of_sys:
            forget_last_failure()
        base = instruments.base
        mark = self._usage(self._thread).ru_maxrss * KIB
        if mark <= self._inherited_peak:
            mark = self._below_inherited.mark()
        garbage = base - instruments.clean_level
        if (
            not base
            or not requirements.simple
            or mark - base > requirements.setup_no_finding_below
            or not 0 <= garbage <= requirements.tolerance * instruments.urgent_factor
            or (
                garbage > requirements.tolerance
                and not instruments.collected <= self._cpu() < instruments.collection_due
            )
            or not self._mark.undisturbed
        ):
            self._slow.set_up(item)
            return
        instruments.base = 0
        state.begin_fast(item, plan, requirements)
        region = self._setup.region
        region.levels[0] = base
        region.highs[0] = region.top = region.resident = mark if mark > base else base  # noqa: FURB136  a call costs ten times as much
        state.markers = tuple(item.own_markers) if item.own_markers else ()
        self._markers = len(state.markers)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Measure the call."""
        state = self._state
        requirements = state.requirements
        if requirements is None or not state.is_fast or not self._begin_call(requirements):
            return (yield from self._slow.call(item))
        try:
            result = yield
        except BaseException:
            self._slow.end_call(item, failed=True)
            raise
        mark = self._usage(self._thread).ru_maxrss * KIB
        if mark <= self._inherited_peak:
            mark = self._below_inherited.mark()
        call = self._call
        region = call.region
        rise = mark - region.levels[0]
        if (
            rise > NOTABLE_RISE_BYTES
            or rise + call.slack + call.foreign > requirements.call_no_finding_below
            or not self._state.is_fast
            or not self._mark.undisturbed
            or self._reset_by_others(0)
            or len(item.own_markers) != self._markers
            or (
                mark > requirements.call_no_finding_below
                and self._is_smaller_by(requirements.ignored_rise_bytes)
            )
            or not self._watch_collections.end_if_intact()
        ):
            self._slow.end_call(item, failed=False)
            return result
        if rise > 0:
            region.highs[0] = region.top = region.resident = mark
        region.seconds = self._now() - region.started
        call.ended = True
        return result

    def _is_smaller_by(self, size: int) -> bool:
        """Whether the process has become smaller: memory of earlier tests has been released.

        It does not matter where all that is resident is within the budget.

        Args:
            size: bytes that do not matter.
        """
        if self._settle.cheap:  # or what was freed would seem to be in use
            self._settle.trim()
        else:
            self._settle(size)
        return self._call.base - self._level() > size

    def _begin_call(self, requirements: Requirements) -> bool:
        """Start measuring a call; whether the fast path is enough so far."""
        settle, estimator, start = self._settle, self._estimator, self._now()
        if settle.cheap:
            settle.trim()
        else:
            settle(requirements.tolerance)
        if self._reset_by_others(0):
            self._mark.start()
        self._file.write(RESET_REQUEST)
        base = self._usage(self._thread).ru_maxrss * KIB
        if base <= self._inherited_peak:
            base = self._below_inherited.level()
        call = self._call
        call.region.begin_again(base)
        self._watch_collections.begin(call.region)
        now = call.region.started = self._now()
        if now - start > EXPENSIVE_SECONDS:
            settle.cheap = False
        most = requirements.most_screened if self._screen.is_open else requirements.most_slack
        # no more can be free inside the process than is resident
        slack = (
            base
            if base <= requirements.ignored_rise_bytes
            else estimator.known(base, requirements.tolerance, most)
        )
        if slack < 0 or slack > most:
            self._tests.measured()
            return False
        call.slack, call.foreign, call.begun = slack, estimator.foreign, True
        return True

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        """Measure what stays of the test."""
        state, call = self._state, self._call
        requirements = state.requirements
        if requirements is None or not state.is_fast or not call.ended:
            return (yield from self._slow.tear_down(item, nextitem))
        try:
            result = yield
        except BaseException:
            self._slow.end_test(item, failed=True)
            raise
        if not self._state.is_fast or not self._mark.undisturbed:
            self._slow.end_test(item, failed=False)
            return result
        self._file.write(RESET_REQUEST)
        after = self._usage(self._thread).ru_maxrss * KIB
        if after <= self._inherited_peak:
            after = self._below_inherited.level()
        growth = after - self._setup.region.levels[0]
        region = call.region
        rise = region.highs[0] - region.levels[0]
        if growth > RSS_RESOLUTION or (
            self._usage(self._of_children).ru_minflt != self._children.faults
            and self._slow.do_children_matter((requirements.main_limit or 0) - rise)
        ):
            self._slow.end_test(item, failed=False)
            return result
        self._instruments.base = after
        properties = item.user_properties
        if properties:
            forget_ours(properties)
        properties += ((PEAK, rise), (DELTA, growth), self._limits[requirements.main_limit])
        state.end_fast()
        return result
