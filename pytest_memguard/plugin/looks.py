"""How a test is looked at, by what is asked for and what its phases turn out to need."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from pytest_memguard.measure.instruments import Instruments
from pytest_memguard.plugin.explain import Suspects
from pytest_memguard.plugin.look import Look
from pytest_memguard.plugin.memray_user import memray_user
from pytest_memguard.plugin.needs import Demands, Needs
from pytest_memguard.plugin.pytest_internals.items import setup_nodes
from pytest_memguard.plugin.running import Running
from pytest_memguard.settings import Settings

if TYPE_CHECKING:
    from pytest_memguard.measure.stages import StageLog
    from pytest_memguard.plugin.measuring import Measurement
    from pytest_memguard.plugin.plans import Plan


class Quick(Protocol):
    """The quick look, at a test or at none."""

    demands: Demands | None
    """What is asked for; ``None`` where it looks at no test."""
    item: Any
    """The test."""
    called: bool
    """Whether its call has ended."""

    def hand_over(self, look: Look) -> None:
        """Let a look that does more go on from here."""

    def forget(self) -> None:
        """Be done with the test."""


class Looks:
    """Makes the look at a test, and is whoever its stages are told to.

    Args:
        settings: the run's.
        instruments: the process's.
        suspects: the tests to track from the start.
        running: the test that runs.
        activate: called when there is going to be something to tell of a test.

    Attributes:
        plans: of tests with other budgets than the default, by node id.
        default_plan: that of all others.
        marked: how many markers of their own tests had when they were planned.
        quick: looks at most of them, where the kernel keeps a mark and the slack is known.
        demands: those of the last test, and probably of the next.
        paused: whether a test is being repeated, and not measured.
    """

    def __init__(
        self,
        settings: Settings,
        instruments: Instruments,
        suspects: Suspects,
        running: Running,
        activate: Callable[[], None],
    ) -> None:
        self.plans: dict[str, Plan | None] = {}
        self.default_plan: Plan | None = None
        self.marked: Mapping[str, int] = {}
        self.paused = self._is_staged = False
        self.keeps_all = settings.measures_all
        self.quick: Quick | None = None
        self._instruments = instruments
        self._running = running
        self._activate = activate
        self._session: pytest.Session | None = None
        self._drills = settings.drill
        self._needs = Needs(
            drill=settings.drill,
            record=settings.saves or settings.compares,
            warn=settings.warn,
        )
        self._suspects: Suspects | frozenset[str] = frozenset()
        if settings.explain == "next" and not settings.stores:
            self._suspects = suspects  # peaks under a tracker are not those of other runs
        self._known: dict[int, Demands] = {}
        self.demands = Demands(None, self._needs, bounds=self.keeps_all)

    def take_plans(
        self,
        default: Plan | None,
        plans: dict[str, Plan | None],
        marked: Mapping[str, int],
        *,
        staged: bool,
    ) -> None:
        """Take what was planned once the tests were known.

        Args:
            default: of all tests that have none of their own.
            plans: of the others, by node id.
            marked: how many markers of their own tests have.
            staged: whether the suite has stages.
        """
        self.default_plan, self.plans, self.marked = default, plans, marked
        self._is_staged = staged

    def again(self, needs: Needs) -> None:
        """In a forked child: look at a test that is run once more."""
        self._needs, self._suspects = needs, frozenset()
        self._known.clear()
        if self.quick is not None:
            self.quick.forget()
        self.demands = Demands(None, needs, bounds=self.keeps_all)

    def begin_session(self, session: pytest.Session) -> bool:
        """Make ready for the first test.

        Args:
            session: its tests have been planned.

        Returns:
            Whether there may be tests whose setup is to be measured, or has stages.
        """
        self._session = session
        self.begin_anew()
        if self.quick is None or self.keeps_all or self._suspects or self._is_staged:
            return True
        plans = (self.default_plan, *self.plans.values())
        return any(not self.demands_of(plan, "").simple for plan in plans if plan is not None)

    def plan_of(self, item: pytest.Item) -> Plan | None:
        """The budgets of a test."""
        return self.plans.get(item.nodeid, self.default_plan)

    def demands_of(self, plan: Plan | None, nodeid: str) -> Demands:
        """What a test must be looked at for; kept for others with the same budgets.

        Args:
            plan: its budgets.
            nodeid: the test's.
        """
        if nodeid in self._suspects:
            needs = replace(self._needs, track=True)
            return Demands(plan, needs, bounds=self.keeps_all)
        known = self._known.get(id(plan))  # it holds the plan
        if known is None:
            known = Demands(plan, self._needs, bounds=self.keeps_all)
            if plan is None or not plan.compared:  # or no other test is like it
                self._known[id(plan)] = known
        self.demands = known
        return known

    def measures_setup_of(self, item: pytest.Item) -> bool:
        """Whether it matters what a test's setup uses, beyond how far the mark rose in it."""
        if self.quick is None:  # measured by a thread, of which there is none unless asked
            return self.asks(item)
        plan = self.plan_of(item)
        if self.keeps_all or item.nodeid in self._suspects:
            return True
        return plan is not None and not self.demands_of(plan, item.nodeid).simple

    def asks(self, item: pytest.Item) -> bool:
        """Whether somebody wants to know of a test."""
        if self.keeps_all or self._drills or self.plan_of(item) is not None:
            return True
        return "memguard" in getattr(item, "fixturenames", ())

    def make(self, item: pytest.Item) -> Look:
        """A look at a test that begins, or has been looked at by nobody."""
        running = self._running
        demands = self.demands_of(self.plan_of(item), item.nodeid)
        look = running.look = Look(demands, self._instruments, item, self._call_in)
        running.imports, running.modules = 0, len(sys.modules)
        return look

    def make_after_setup(self, item: pytest.Item) -> Look:
        """A look at a test whose setup is over, for which the quick one is not enough."""
        look, instruments = self.make(item), self._instruments
        mark = instruments.mark
        if look.detail is None and mark is not None:
            base, instruments.base = instruments.base, 0
            look.adopt_setup(base, mark.rise_above(base))
            if look.setup_was_too_much:
                self._activate()
        return look

    def take_over(self) -> Look | None:
        """A look that goes on from the quick one, if that has a test."""
        quick = self.quick
        if quick is None or quick.demands is None:
            return None
        look = self.make(quick.item)
        called = quick.called
        quick.hand_over(look)
        if called:
            look.begin("teardown")
        return look

    def begin_after(self, nextitem: pytest.Item | None) -> None:
        """A test of no interest ends: note what the next one starts from, if it is of some."""
        mark, base = self._instruments.mark, 0
        if mark is not None and nextitem is not None and self.plan_of(nextitem) is not None:
            base = mark.reset()
        self._instruments.base = base

    def begin_anew(self) -> None:
        """Note what the next test starts from, after something that was not measured."""
        mark = self._instruments.mark
        self._instruments.base = mark.reset() if mark is not None else 0

    def _call_in(self, item: pytest.Item, demands: Demands) -> Measurement:
        """What measures a test for which a look is not enough; there will be more to tell."""
        from pytest_memguard.plugin.measuring import Measurement

        self._activate()
        return Measurement(
            demands.plan, self._instruments, demands.needs, lambda: memray_user(item)
        )

    # Whoever is told of stages

    @property
    def wants_stages(self) -> bool:
        """Whether stages without a budget are of interest too."""
        quick = self.quick
        if quick is not None and quick.demands is not None:
            return not self.paused
        item = self._current_item()
        return item is not None and self.asks(item)

    def stage_log(self) -> StageLog | None:
        """The log the test's stages go to; nothing between its phases."""
        look = self.look_now()
        return look.stage_log() if look is not None and look.open is not None else None

    def look_now(self) -> Look | None:
        """The look at the test that runs, from now on if there was none."""
        if self.paused:
            return None
        look = self._running.look or self.take_over()
        if look is not None:
            return look
        item = self._current_item()
        if item is None:
            return None
        look = self.make(item)
        look.begin_late(self._running.phase or "setup")
        return look

    def _current_item(self) -> pytest.Item | None:
        """The test of which a phase lasts."""
        if self.paused or self._session is None:
            return None
        if self._running.phase is not None:
            return self._running.item
        # in a suite that loads stages no sooner than in a fixture; no public name tells
        node = next(reversed(setup_nodes(self._session)), None)
        return node if isinstance(node, pytest.Item) else None
