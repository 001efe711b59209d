"""Reads the mark around each call, in a run with one budget that is far above it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from pytest_memguard.clock import Clock
from pytest_memguard.judge.slack_thresholds import ignored_slack
from pytest_memguard.plugin.names import has_marker_of_ours
from pytest_memguard.probes.ended_children import (
    RUSAGE_CHILDREN,
    ended_children,
    touched_since,
)
from pytest_memguard.sizes import KIB

if TYPE_CHECKING:
    from pytest_memguard.options.settings import Settings
    from pytest_memguard.plugin.items import ItemHooks
    from pytest_memguard.probes.lifetime_peak import LifetimePeak


class LateStart(Protocol):
    """Sets up the session while tests run."""

    started: bool
    """Whether it is set up."""

    @property
    def items(self) -> ItemHooks:
        """What measures tests, once it is."""

    def start_late(self, session: pytest.Session) -> ItemHooks:
        """Set it up."""


class SetupEnd:
    """Judges the stages of a setup in which a fixture has called for the session.

    pytest has chosen by then whom it calls when that setup ends, and asks for its report next.
    A hook at the end of every setup would cost a fifth of all that is done for a test here.

    Args:
        items: measure the test.
        done: called when it is over.
    """

    def __init__(self, items: ItemHooks, done: Callable[[SetupEnd], object]) -> None:
        self._items = items
        self._done = done

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        """Let a stage that exceeded its budget be an error of the setup."""
        self._done(self)
        state = self._items.tests.state
        if call.when != "setup" or call.excinfo is not None:
            return
        if state.open != "setup" and state.requirements is not None:
            return  # this setup began later, with hooks that have seen its end
        try:
            self._items.phases.set_up(item)
        except BaseException:  # noqa: BLE001  as in any phase of a test
            call.excinfo = pytest.ExceptionInfo.from_current()


class Calls:
    """Reads the mark before and after each call.

    Args:
        ceiling: sets up the session where the mark is not enough.
        mark: the high-water mark of the process.
        settings: the settings of the run.
        suspects: tests that are to be measured.

    Attributes:
        item: the test whose call lasts.
        ended: the test whose call has ended last.
    """

    # pluggy lists the attributes of plugins, and those in a dictionary are slower from then on
    __slots__ = (
        "_before",
        "_ceiling",
        "_child_faults",
        "_children",
        "_children_matter",
        "_first_faults",
        "_last",
        "_mark",
        "_most",
        "_no_finding_below",
        "_now",
        "_of_children",
        "_of_self",
        "_started",
        "_suspects",
        "_usage",
        "_was_reset",
        "ended",
        "item",
    )

    def __init__(
        self,
        ceiling: LateStart,
        mark: LifetimePeak,
        settings: Settings,
        suspects: AbstractSet[str],
    ) -> None:
        from resource import RUSAGE_SELF, getrusage  # which Windows does not have

        self._ceiling = ceiling
        self._mark = mark
        self._was_reset = mark.was_reset
        self._no_finding_below = int(settings.budget * (settings.warn or 1))
        # memory of others may be free and be used again: as much as does not matter anyway
        self._most = ignored_slack(self._no_finding_below)
        self._suspects = suspects
        self._now = Clock.seconds
        self._last = mark.read()
        self._usage, self._of_self, self._of_children = getrusage, RUSAGE_SELF, RUSAGE_CHILDREN
        self._forget_children()
        self._first_faults = self._child_faults
        self._before = 0
        self._started = 0.0
        self.item: Any = None
        self.ended: Any = None

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Let the call be, unless it may have used more than the budget.

        What `LifetimePeak.read` does is written out, because a call costs as much as all that
        is done here.
        """
        before = self._usage(self._of_self).ru_maxrss * KIB
        if not self._mark.undisturbed:
            before = self._mark.read()
        self._before = before
        if (
            before > self._most
            or (self._suspects and item.nodeid in self._suspects)
            or (item.own_markers and has_marker_of_ours(item))
        ):
            items = self._ceiling.start_late(item.session)
            items.bounded.begin_before_call(item, before - self._last)
            return (yield from items.phases.call(item))
        self.item, self._started = item, self._now()
        faults = self._child_faults
        # not asked before any child has ended: the first counts to the test that follows
        if faults != self._first_faults and self._usage(self._of_children).ru_minflt != faults:
            self._forget_children()  # of a fixture
        try:
            result = yield
        except BaseException:
            self._forget_children()  # or they would count to the next test
            self._end(item, failed=True)
            raise
        mark = self._usage(self._of_self).ru_maxrss * KIB
        if not self._mark.undisturbed:
            mark = self._mark.read()
        self._last = mark
        if (
            mark > self._no_finding_below
            or self._was_reset(0)
            or self.item is None
            or (item.own_markers and has_marker_of_ours(item))
            or (
                self._usage(self._of_children).ru_minflt != self._child_faults
                and self._do_children_matter(mark - before)
            )
        ):
            self._end(item, failed=False)
        self.item, self.ended = None, item
        return result

    def _do_children_matter(self, rise: int) -> bool:
        """Whether children that have ended may have used up what the budget left over."""
        touched = touched_since(self._children, ended_children())
        if touched > self._no_finding_below - rise:
            self._children_matter = True
        else:
            self._forget_children()
        return self._children_matter

    def _forget_children(self) -> None:
        """Count only children that end from now on."""
        self._children, self._children_matter = ended_children(), False
        self._child_faults = self._children.counted

    def hand_over(self) -> None:
        """Have the session go on with the call that lasts."""
        item, self.item = self.item, None
        items = self._ceiling.start_late(item.session)
        items.bounded.take_over_call(item, self._before, self._mark.read(), self._started)

    def _end(self, item: pytest.Item, *, failed: bool) -> None:
        """Judge a call that has ended, where the mark is not enough to say it is fine."""
        __tracebackhide__ = True
        if self.item is not None:
            self.item, self.ended = None, item
            mark, was_reset = self._mark.read(), bool(self._was_reset(0))
            late = item.own_markers and has_marker_of_ours(item)
            children = self._children_matter
            if not (mark > self._no_finding_below or was_reset or late or children):
                return
            items = self._ceiling.start_late(item.session)
            items.bounded.take_over_call(
                item, self._before, mark, self._started, was_reset=was_reset
            )
            if children:
                items.bounded.take_over_children(self._children)
        self._ceiling.items.phases.end_call(item, failed=failed)
