"""Which tests are measured, for what, and what measures the stages of the one that runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

import pytest

from pytest_memguard.measure.current_test import CurrentTest
from pytest_memguard.measure.instruments import Instruments
from pytest_memguard.measure.measurement import Measurement
from pytest_memguard.measure.requirements import Requirements
from pytest_memguard.options.settings import Settings
from pytest_memguard.plugin.memray_user import memray_user
from pytest_memguard.plugin.pytest_internals.items import setup_nodes
from pytest_memguard.plugin.suspects import Suspects

if TYPE_CHECKING:
    from pytest_memguard.checks.planned import Checks, TestPlan
    from pytest_memguard.checks.protocol import Measured
    from pytest_memguard.measure.detail import DetailedMeasurement
    from pytest_memguard.measure.stage_log import StageLog
    from pytest_memguard.model.measurements import Finding, PhaseName


class MeasuredTests:
    """Begins to measure tests, one after the other, and takes their stages.

    Args:
        settings: the settings of the run.
        instruments: the instruments of the process.
        suspects: has the tests to trace from the start.
        checks: judge what was measured.
        activate: called when there is going to be something to report about a test.

    Attributes:
        state: what is known of the test that runs.
        measurement: measures it, where the fast path is not enough.
        plans: of tests with other plans than the default, by node id.
        default_plan: that of all others.
        marked: how many markers of their own tests had when they were planned.
        has_fast_path: whether the fast path measures simple tests.
        last_plan: that of the last test, and probably of the next.
        last_requirements: what that is measured for.
        paused: whether a test is being repeated, and not measured.
        is_taken: whether setup is being measured, or the test repeated.
        runs_again: whether this is a child in which a test is run once more.
    """

    def __init__(
        self,
        settings: Settings,
        instruments: Instruments,
        suspects: Suspects,
        checks: Checks,
        activate: Callable[[], None],
    ) -> None:
        self.state = CurrentTest()
        self._checks = checks
        self.measurement = Measurement(self.state, instruments, self._make_detail, self._judge)
        self.plans: dict[str, TestPlan | None] = {}
        self.default_plan: TestPlan | None = None
        self.marked: Mapping[str, int] = {}
        self.has_fast_path = False
        self.paused = self.is_taken = self.runs_again = self._is_staged = False
        self.keeps_all = settings.measures_all
        self._instruments = instruments
        self._activate = activate
        self._session: pytest.Session | None = None
        self._warn: float | None = settings.warn
        self._of_run = Requirements(
            drill=settings.drill,
            record=settings.saves or settings.compares,
            bounds=self.keeps_all,
        )
        self._traced: AbstractSet[str] = frozenset()
        if settings.explain == "next" and not settings.stores:
            self._traced = suspects.traced  # peaks under a tracker are not those of other runs
        self._known: dict[int, tuple[TestPlan | None, Requirements]] = {}
        self.last_plan: TestPlan | None = None
        self.last_requirements = self._of_run

    def take_plans(
        self,
        default: TestPlan | None,
        plans: dict[str, TestPlan | None],
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

    def again(self, requirements: Requirements) -> None:
        """In a forked child: measure a test that is run once more.

        Args:
            requirements: what any test is measured for from now on.
        """
        self.runs_again = True
        self._of_run = requirements | Requirements(bounds=self.keeps_all)
        self._traced = frozenset()
        self._warn = None
        self._known.clear()
        self.state.forget()
        self.last_plan, self.last_requirements = None, self._of_run

    def begin_session(self, session: pytest.Session) -> bool:
        """Make ready for the first test.

        Args:
            session: its tests have been planned.

        Returns:
            Whether there may be tests whose setup is to be measured, or has stages.
        """
        self._session = session
        self.begin_anew()
        if not self.has_fast_path or self.keeps_all or self._traced or self._is_staged:
            return True
        plans = (self.default_plan, *self.plans.values())
        return any(
            not self.requirements_of(plan, "").simple for plan in plans if plan is not None
        )

    def plan_of(self, item: pytest.Item) -> TestPlan | None:
        """What the checks have planned for a test."""
        return self.plans.get(item.nodeid, self.default_plan)

    def requirements_of(self, plan: TestPlan | None, nodeid: str) -> Requirements:
        """What a test is measured for; kept for others with the same plan.

        Args:
            plan: the plan of the test.
            nodeid: the node id of the test.
        """
        if nodeid in self._traced:
            return self._required(plan) | Requirements(track=True)
        if plan is self.last_plan:
            return self.last_requirements
        known = self._known.get(id(plan))  # it holds the plan
        if known is None:
            known = plan, self._required(plan)
            if plan is None or plan.is_shared:  # or no other test is like it
                self._known[id(plan)] = known
        self.last_plan, self.last_requirements = known
        return self.last_requirements

    def _required(self, plan: TestPlan | None) -> Requirements:
        return self._of_run if plan is None else self._of_run | plan.requirements

    def measures_setup_of(self, item: pytest.Item) -> bool:
        """Whether it matters what a test's setup uses, beyond how far the mark rose in it."""
        if not self.has_fast_path:  # measured by a thread, and only where something asks
            return self.asks(item)
        if self.keeps_all or item.nodeid in self._traced:
            return True
        plan = self.plan_of(item)
        return plan is not None and not self.requirements_of(plan, item.nodeid).simple

    def asks(self, item: pytest.Item) -> bool:
        """Whether an option, a plan or the fixture asks for what a test uses."""
        if self.keeps_all or self._of_run.drill or self.plan_of(item) is not None:
            return True
        return "memguard" in getattr(item, "fixturenames", ())

    def begin(self, item: pytest.Item) -> Measurement:
        """Begin with a test of which nothing is known."""
        plan, state = self.plan_of(item), self.state
        requirements = self.requirements_of(plan, item.nodeid)
        self.measurement.begin_test(item, plan, requirements)
        state.imports, state.modules = 0, len(sys.modules)
        return self.measurement

    def begin_after_setup(self, item: pytest.Item) -> Measurement:
        """Begin with a test whose setup has ended, where the fast path is not enough."""
        measurement, instruments = self.begin(item), self._instruments
        mark = instruments.mark
        if self.state.detail is None and mark is not None:
            base, instruments.base = instruments.base, 0
            measurement.begin_after_setup(base, mark.rise_above(base))
            if self.state.setup_exceeds_limit:
                self._activate()
        return measurement

    def measured(self) -> Measurement | None:
        """What measures the test that runs, in the place of the fast path if that did so."""
        state = self.state
        if state.is_fast:
            state.leave_fast_path()
            state.imports, state.modules = 0, len(sys.modules)
            if state.call.ended:
                self.measurement.begin("teardown")
        return self.measurement if state.requirements is not None else None

    def begin_after(self, nextitem: pytest.Item | None) -> None:
        """A test that was not measured ends: note what the next starts from, if that is."""
        mark, base = self._instruments.mark, 0
        if mark is not None and nextitem is not None and self.plan_of(nextitem) is not None:
            base = mark.reset()
        self._instruments.base = base

    def begin_anew(self) -> None:
        """Note what the next test starts from, after something that was not measured."""
        mark = self._instruments.mark
        self._instruments.base = mark.reset() if mark is not None else 0

    def _make_detail(self, requirements: Requirements) -> DetailedMeasurement:
        """What measures more than the high-water mark; there will be more to report."""
        from pytest_memguard.measure.detail import DetailedMeasurement

        self._activate()
        state, item = self.state, self.state.item
        return DetailedMeasurement(
            state,
            requirements,
            self._instruments,
            lambda: memray_user(item),
            self._judge,
            self._warn,
        )

    def _judge(self, measured: Measured, phase: PhaseName) -> list[Finding]:
        """What the checks have to say about a phase that has ended."""
        return self._checks.judge(self.state.plan, measured, phase, again=self.runs_again)

    # The host of stages

    @property
    def wants_stages(self) -> bool:
        """Whether stages without a budget are of interest too."""
        if self.state.is_fast:
            return not self.paused
        item = self._current_item()
        return item is not None and self.asks(item)

    def stage_log(self) -> StageLog | None:
        """The log the test's stages go to; nothing between its phases."""
        measurement = self.measured_now()
        if measurement is None or self.state.open is None:
            return None
        return measurement.stage_log()

    def measured_now(self) -> Measurement | None:
        """What measures the test that runs, from now on if nothing did."""
        if self.paused:
            return None
        measurement = self.measured()
        if measurement is not None:
            return measurement
        phase, item = self.state.open or "setup", self._current_item()
        if item is None:
            return None
        measurement = self.begin(item)
        measurement.begin_late(phase)
        return measurement

    def _current_item(self) -> pytest.Item | None:
        """The test of which a phase lasts."""
        if self.paused or self._session is None:
            return None
        if self.state.open is not None and isinstance(self.state.item, pytest.Item):
            return self.state.item
        # in a suite that loads stages no sooner than in a fixture; no public name says so
        node = next(reversed(setup_nodes(self._session)), None)
        return node if isinstance(node, pytest.Item) else None
