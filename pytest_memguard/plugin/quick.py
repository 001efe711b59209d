"""The hooks around a test, quick where it has nothing but a budget on its call."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from pytest_memguard.allocator.trim import EXPENSIVE_SECONDS
from pytest_memguard.clock import Clock
from pytest_memguard.judge.slack_thresholds import RSS_RESOLUTION
from pytest_memguard.plugin.last_failure import forget_last_failure
from pytest_memguard.plugin.needs import NOTABLE_RISE_BYTES
from pytest_memguard.plugin.properties import DELTA, PEAK, forget_ours
from pytest_memguard.probes.peak_rss import RESET_REQUEST
from pytest_memguard.sizes import KIB

if TYPE_CHECKING:
    from pytest_memguard.allocator.slack_estimator import SlackEstimator
    from pytest_memguard.measure.instruments import Instruments
    from pytest_memguard.plugin.look import Look
    from pytest_memguard.plugin.looks import Looks
    from pytest_memguard.plugin.needs import Demands
    from pytest_memguard.plugin.running import Running
    from pytest_memguard.probes.peak_rss import PeakRss


class Care(Protocol):
    """What is done about a test for which a quick look is not enough."""

    def set_up(self, item: pytest.Item) -> None:
        """A test has been set up that a quick look cannot take on."""

    def call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Measure a call."""

    def end_call(self, item: pytest.Item, *, failed: bool) -> None:
        """Go on at the end of a call from where the quick look is."""

    def tear_down(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        """Measure teardown."""

    def end_test(self, item: pytest.Item, *, failed: bool) -> None:
        """Go on at the end of a test from where the quick look is."""


class QuickHooks:
    """Looks at one test after the other, and says where that is not enough.

    Most tests are over in less time than it takes to describe them, and what is done here is
    done around every one of them, in code and data that nothing else has just used: there a
    call to one more function costs a microsecond, and an object of its own for every test
    three. So what such a test needs is written out in the hooks, and kept in this one object;
    as soon as there is more to a test a `Look` goes on from where this one is.

    The mark is put back before the call and after the test, and read at the end of setup as
    well, which began where the test before ended. ``getrusage`` tells the mark, and the
    level where it has just been put back: in half the time that reading the level takes.

    Args:
        looks: tells what tests are looked at for.
        running: the test that runs.
        care: what is done where this is not enough.
        instruments: the process's.
        mark: the kernel's.
        estimator: bounds the slack.

    Attributes:
        demands: what is asked for; ``None`` where no test is looked at by this one.
        item: the test.
        called: whether its call has ended.
    """

    __slots__ = (
        "_base",
        "_below_inherited",
        "_call_base",
        "_care",
        "_estimator",
        "_file",
        "_in_call",
        "_inherited_peak",
        "_instruments",
        "_level",
        "_looks",
        "_mark",
        "_markers",
        "_now",
        "_of_sys",
        "_reset_by_others",
        "_rise",
        "_running",
        "_seconds",
        "_settle",
        "_setup_rise",
        "_slack",
        "_started",
        "_thread",
        "_usage",
        "_watch_collections",
        "called",
        "demands",
        "item",
    )

    def __init__(
        self,
        looks: Looks,
        running: Running,
        care: Care,
        instruments: Instruments,
        mark: PeakRss,
        estimator: SlackEstimator,
    ) -> None:
        self._looks = looks
        self._running = running
        self._care = care
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
        self._of_sys = vars(sys)
        self._settle = instruments.settle
        self.demands: Demands | None = None
        self.item: Any = None
        self._base = self._call_base = self._setup_rise = self._rise = 0
        self._slack = self._markers = 0
        self._started = self._seconds = 0.0
        self.called = self._in_call = False

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Take on a test that has been set up; it began when the one before had ended."""
        looks, running, nodeid = self._looks, self._running, item.nodeid
        if running.is_taken:
            return
        plan = looks.plans.get(nodeid, looks.default_plan)
        if running.look is not None or (
            item.own_markers and looks.marked.get(nodeid) != len(item.own_markers)
        ):
            self._care.set_up(item)
            return
        if plan is None:
            return
        instruments, demands = self._instruments, looks.demands
        if plan is not demands.plan:
            demands = looks.demands_of(plan, nodeid)
        if "last_value" in self._of_sys:
            forget_last_failure()
        base = instruments.base
        mark = self._usage(self._thread).ru_maxrss * KIB
        if mark <= self._inherited_peak:
            mark = self._below_inherited.mark()
        rise, garbage = mark - base, base - instruments.clean_level
        if (
            not base
            or not demands.simple
            or rise > demands.quiet_setup
            or not 0 <= garbage <= demands.urgent_garbage_bytes
            or (garbage > demands.tolerance and self._now() >= instruments.collection_due)
            or not self._mark.undisturbed
        ):
            self._care.set_up(item)
            return
        instruments.base = 0
        self.item, self.demands = item, demands
        self._base, self._setup_rise = base, rise
        running.markers = tuple(item.own_markers) if item.own_markers else ()
        self._markers = len(running.markers)
        self.called = False

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Measure the call."""
        demands = self.demands
        if demands is None or not self._begin_call(demands):
            return (yield from self._care.call(item))
        try:
            result = yield
        except BaseException:
            self._care.end_call(item, failed=True)
            raise
        mark = self._usage(self._thread).ru_maxrss * KIB
        if mark <= self._inherited_peak:
            mark = self._below_inherited.mark()
        rise = mark - self._call_base
        if (
            rise > NOTABLE_RISE_BYTES
            or rise + self._slack > demands.quiet_call
            or self.demands is None
            or not self._mark.undisturbed
            or self._reset_by_others(0)
            or len(item.own_markers) != self._markers
            or (mark > demands.quiet_call and self._is_smaller_by(demands.ignored_rise_bytes))
            or not self._watch_collections.end_if_intact()
        ):
            self._care.end_call(item, failed=False)
            return result
        self._rise = rise if rise > 0 else 0  # noqa: FURB136  a call costs ten times as much
        self._seconds = self._now() - self._started
        self.called, self._in_call = True, False
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
        return self._call_base - self._level() > size

    def _begin_call(self, demands: Demands) -> bool:
        """Start measuring a call; whether a quick look is enough so far."""
        settle, estimator, start = self._settle, self._estimator, self._now()
        if settle.cheap:
            settle.trim()
        else:
            settle(demands.tolerance)
        if self._reset_by_others(0):
            self._mark.start()
        self._file.write(RESET_REQUEST)
        base = self._usage(self._thread).ru_maxrss * KIB
        if base <= self._inherited_peak:
            base = self._below_inherited.level()
        self._watch_collections.begin(base)
        self._call_base = base
        now = self._started = self._now()
        if now - start > EXPENSIVE_SECONDS:
            settle.cheap = False
        # no more can be free inside the process than is resident
        slack = (
            base
            if base <= demands.ignored_rise_bytes
            else estimator.known(base, demands.tolerance, demands.most_slack)
        )
        if slack < 0 or slack > demands.most_slack:
            self._looks.take_over()
            return False
        self._slack, self._in_call = slack, True
        return True

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        """Measure what stays of the test."""
        demands = self.demands
        if demands is None or not self.called:
            return (yield from self._care.tear_down(item, nextitem))
        instruments = self._instruments
        try:
            result = yield
        except BaseException:
            self._care.end_test(item, failed=True)
            raise
        if self.demands is None or not self._mark.undisturbed:
            self._care.end_test(item, failed=False)
            return result
        self._file.write(RESET_REQUEST)
        after = self._usage(self._thread).ru_maxrss * KIB
        if after <= self._inherited_peak:
            after = self._below_inherited.level()
        growth = after - self._base
        if growth > RSS_RESOLUTION:
            self._care.end_test(item, failed=False)
            return result
        instruments.base = after
        properties = item.user_properties
        if properties:
            forget_ours(properties)
        properties += ((PEAK, self._rise), (DELTA, growth), demands.limit_property)
        self.demands = self.item = None
        return result

    def hand_over(self, look: Look) -> None:
        """Let a look that does more go on from here.

        Args:
            look: the one that takes over.
        """
        look.adopt_setup(self._base, max(0, self._setup_rise))
        if self.called or self._in_call:
            look.adopt_call(
                self._call_base,
                self._rise if self.called else 0,
                self._slack,
                self._started,
                self._seconds,
                is_open=not self.called,
            )
        self.forget()

    def forget(self) -> None:
        """Be done with the test."""
        self.demands = self.item = None
        self.called = self._in_call = False
