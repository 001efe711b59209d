"""One test: begin and end its phases, and act on what was found in them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_memguard.escapes import one_line
from pytest_memguard.measure.instruments import Instruments
from pytest_memguard.measure.stage_host import set_current
from pytest_memguard.model import Budget, Finding, Outcome, PhaseName
from pytest_memguard.plugin.careful import CarefulHooks, SetupHooks
from pytest_memguard.plugin.explain import Suspects
from pytest_memguard.plugin.explainer import Explainer
from pytest_memguard.plugin.failures import Regressed
from pytest_memguard.plugin.found import Found
from pytest_memguard.plugin.last_failure import forget_last_failure
from pytest_memguard.plugin.look import Look
from pytest_memguard.plugin.looks import Looks
from pytest_memguard.plugin.names import is_marker_of_ours
from pytest_memguard.plugin.needs import Needs
from pytest_memguard.plugin.options import GAPS
from pytest_memguard.plugin.outcomes import OutcomeHooks
from pytest_memguard.plugin.plans import Planner
from pytest_memguard.plugin.properties import set_properties
from pytest_memguard.plugin.pytest_internals.items import has_failed
from pytest_memguard.plugin.quick import QuickHooks
from pytest_memguard.plugin.running import Ended, Running
from pytest_memguard.settings import Settings

if TYPE_CHECKING:
    from pytest_memguard.leaks import LeakReading
    from pytest_memguard.plugin.confirm import Confirm
    from pytest_memguard.plugin.foreign_checks import ForeignChecks
    from pytest_memguard.plugin.regressions import RegressionCheck


class ItemHooks:
    """Measures tests, in every process that runs any, and acts on what was found.

    Args:
        settings: the run's.
        instruments: the process's.
        suspects: the tests to track from the start.
        sink: takes an outcome; ``None`` in a worker, whose outcomes travel on reports.
        root: what paths are shown relative to.
        worker: xdist's name for this process.
        register: registers more hooks, once they are needed.
        planner: finds the budgets of tests.
        checks: those of other plugins, if there are any.
        regressions: decides about limits that the baseline sets, if there is one.
        confirm: measures tests again, if asked for.

    Attributes:
        looks: makes the look at a test.
        reports: makes outcomes.
    """

    def __init__(
        self,
        settings: Settings,
        instruments: Instruments,
        suspects: Suspects,
        sink: Callable[[Outcome], None] | None,
        root: Path,
        worker: str,
        register: Callable[[object, str], object],
        planner: Planner,
        checks: ForeignChecks | None,
        regressions: RegressionCheck | None,
        confirm: Confirm | None,
    ) -> None:
        self.planner = planner
        self.checks = checks
        self.instruments = instruments
        self._running = running = Running(f"{root}/")
        self._register = register
        self.reports = OutcomeHooks(
            settings, suspects, running, sink, worker, register, confirm
        )
        self.looks = Looks(settings, instruments, suspects, running, self.reports.activate)
        explainer = Explainer(settings, instruments, suspects, running, self._run_again)
        self.regressions = regressions
        self._found = Found(settings, running, explainer, regressions)
        self._torn_early: list[Finding] | None = None
        self._measures_setup = False
        if settings.measures_all or suspects:
            self.reports.activate()
        register(self._hooks(), "memguard-tests")

    def _hooks(self) -> object:
        """The hooks around a test: quick ones where the kernel helps."""
        mark, estimator = self.instruments.mark, self.instruments.slack_estimator
        if mark is None or estimator is None:
            return CarefulHooks(self)
        quick = QuickHooks(self.looks, self._running, self, self.instruments, mark, estimator)
        self.looks.quick = quick
        return quick

    @property
    def leak(self) -> LeakReading | None:
        """What the leak check said of the test that runs."""
        return self._running.leak

    @leak.setter
    def leak(self, reading: LeakReading) -> None:
        self._running.leak = reading
        self.reports.activate()

    @property
    def measures_again(self) -> bool:
        """Whether this is a child in which a test is run once more."""
        return self._running.again

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Make ready for the first test; let stages be told to us meanwhile."""
        self.begin(session)
        before = set_current(self.looks)
        try:
            return (yield)
        finally:
            set_current(before)

    def begin(self, session: pytest.Session) -> None:
        """Make ready for the next test, be it the first of the run or not."""
        if self.looks.begin_session(session):
            self._measure_setup()

    def _measure_setup(self) -> None:
        """Have setup measured where it has a budget, or somebody wants to know."""
        if not self._measures_setup:
            self._measures_setup = True
            self._register(SetupHooks(self._running, self.looks, self._act), "memguard-setup")

    # Tests that a high-water mark alone has bounded so far

    def begin_before_call(self, item: pytest.Item, setup: int) -> None:
        """Go on with a test that has been set up.

        Args:
            item: the test.
            setup: bytes by which the mark has risen since the call of the test before.
        """
        forget_last_failure()
        look = self.looks.make(item)
        if look.detail is None:
            look.adopt_setup(0, 0)
            look.rose_in_setup(setup)
            if look.setup_was_too_much:
                self.reports.activate()
            look.collect_late()
        else:
            look.begin_late("setup")

    def begin_in_fixture(self, ended: pytest.Item | None) -> None:
        """Go on with a test in the middle of its setup.

        Args:
            ended: the test whose call has ended last: if it is that one, it is torn down.
        """
        look = self.looks.look_now()
        if look is not None and look.item is ended:
            self._running.look = None

    def take_over_call(
        self,
        item: pytest.Item,
        before: int,
        after: int,
        started: float,
        *,
        was_reset: bool = False,
    ) -> None:
        """Go on with a test in the middle of its call, or at the end.

        Args:
            item: the test.
            before: bytes of the mark when the call began; as many may have been free.
            after: bytes of the mark now.
            started: when the call began.
            was_reset: whether a test has reset the mark, which tells nothing then.
        """
        self.looks.plans.pop(item.nodeid, None)  # it had no budget of its own when it began
        self._running.markers = tuple(m for m in item.own_markers if not is_marker_of_ours(m))
        look = self.looks.make(item)
        look.adopt_bounded_call(before, after, started)
        if was_reset and self.instruments.mark is not None:
            self.instruments.mark.note_reset()

    # The phases

    def set_up(self, item: pytest.Item) -> None:
        """A test has been set up that a quick look cannot take on.

        Raises:
            BudgetExceeded: if a stage in a fixture exceeded its budget.
        """
        look = self._running.look
        forget_last_failure()  # before garbage is collected: it holds some
        if look is not None and look.open == "setup":  # since a stage in a fixture
            self._act(item, look, "setup", look.end("setup"))
        else:
            self.looks.make_after_setup(item).collect_late()

    def call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Measure a call for which a quick look is not enough."""
        running = self._running
        look = running.look
        if self.looks.paused:
            return (yield)
        running.markers = tuple(
            item.own_markers
        )  # before slack is filled: it stays for a while
        if look is not None:
            if look.open == "setup":  # a stage in a fixture, and nobody has seen its end
                self._act(item, look, "setup", look.end("setup"))
            if len(item.own_markers) != self.looks.marked.get(item.nodeid, 0):
                self._plan_again(item, look)
            forget_last_failure()
            look.begin("call")
        running.phase, running.item = "call", item
        modules = len(sys.modules)  # ours are there by now
        try:
            result = yield
        except BaseException:
            running.imports = len(sys.modules) - modules
            self.end_call(item, failed=True)
            raise
        running.imports = max(0, len(sys.modules) - modules)
        self.end_call(item, failed=False)
        if look is not None and not running.again:
            self._refuse_new(item, look)
        return result

    def _refuse_new(self, item: pytest.Item, look: Look) -> None:
        """Fail a test that the baseline does not have, where that counts.

        Raises:
            MemoryRegression: if so.
        """
        __tracebackhide__ = True
        check = self.regressions
        finding = check.judge_new(item) if check is not None else None
        if finding is not None:
            look.detail_now().findings.append(finding)
            raise Regressed(one_line(f"{finding.text} ({finding.rule})"), [finding])

    def end_call(self, item: pytest.Item, *, failed: bool) -> None:
        """Stop measuring the call, if anybody does, and act on what was found.

        Raises:
            BudgetExceeded: if a budget was exceeded and the test has not failed itself.
            pytest.fail.Exception: if it added a marker that makes no sense.
        """
        __tracebackhide__ = True
        running = self._running
        running.phase = running.item = None
        look = running.look or self.looks.take_over()
        late = self._late_findings(item, failed=failed)
        if look is None and late:
            look = self.looks.make(item)
            look.begin_late("call")
        if look is None:
            return
        found = self._checked(item, look, "call", look.end("call"))
        if late:
            look.detail_now().findings.extend(late)
            found = [*(found or ()), *late]
        self._act(item, look, "call", found, failed=failed)

    def _late_findings(self, item: pytest.Item, *, failed: bool) -> list[Finding]:
        """A finding for each marker of a check that the test has added while it ran.

        Raises:
            pytest.fail.Exception: if one of them makes no sense.
        """
        planner, before = self.planner, self._running.markers
        if len(item.own_markers) == len(before):
            return []
        from pytest_memguard.plugin.late_markers import late_findings

        found = late_findings(planner, self.checks, item, before)
        if failed:
            planner.problems = []
        self._refuse_markers(planner)
        return found

    @staticmethod
    def _refuse_markers(planner: Planner) -> None:
        """Fail the test with what is wrong with its markers, if anything is.

        Raises:
            pytest.fail.Exception: with a line for each problem.
        """
        if planner.problems:
            problems, planner.problems = planner.problems, []
            raise pytest.fail.Exception("\n".join(problems), pytrace=False)

    def tear_down(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        """Measure teardown where a quick look is not enough."""
        running = self._running
        look = running.look or self.looks.take_over()
        if self.looks.paused:
            return (yield)
        if look is None and self.looks.plan_of(item) is not None:  # its setup has failed
            look = self.looks.make_after_setup(item)
        if look is None:
            return (yield from self._tear_down_unmeasured(item, nextitem))
        if self._torn_early is not None:
            result = yield
            torn, self._torn_early = self._torn_early, None
            self._act(item, look, "teardown", torn)
            return result
        if look.open is not None:  # its setup has failed in a stage
            look.end(look.open)
        look.begin("teardown")
        try:
            result = yield
        except BaseException:
            self.end_test(item, failed=True)
            raise
        self.end_test(item, failed=False)
        return result

    def _tear_down_unmeasured(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        """Measure nothing in a teardown, unless it has a stage with a budget."""
        running = self._running
        running.phase, running.item = "teardown", item
        failed = True
        try:
            result = yield
            failed = False
        finally:
            running.phase = running.item = None
            if running.look is not None:
                self.end_test(item, failed=failed)
            self.looks.begin_after(nextitem)
        return result

    def end_test(self, item: pytest.Item, *, failed: bool) -> None:
        """Stop measuring a test, and act on what was found.

        Raises:
            BudgetExceeded: if a budget was exceeded and the test has not failed itself.
        """
        __tracebackhide__ = True
        look = self._running.look or self.looks.take_over()
        if look is not None:
            self._act(item, look, "teardown", self._end_teardown(item, look), failed=failed)

    def _end_teardown(self, item: pytest.Item, look: Look) -> list[Finding] | None:
        """Stop measuring the last phase, and judge what stays of the test."""
        found = look.end("teardown")
        plan = look.plan
        if plan is not None and plan.growth is not None:
            found = self._judge_growth(look, plan.growth, found)
        asked = plan is not None or self.looks.keeps_all or look.detail is not None
        if asked and not self._running.again:  # or it had no stages, and nobody asks
            phases = look.detail.phase_readings() if look.detail is not None else ()
            limit = plan.main_limit if plan is not None else None
            numbers = None if look.lost else look.peak_and_growth()
            set_properties(item, numbers, limit, phases)
        found = self._checked(item, look, "teardown", found)
        if not self.reports.active:
            self._running.look = None
        return found

    def _checked(
        self,
        item: pytest.Item,
        look: Look,
        phase: PhaseName,
        found: list[Finding] | None,
    ) -> list[Finding] | None:
        """What was found, with what checks of other plugins have to say."""
        if self.checks is None or look.detail is None or self._running.again:
            return found
        more = self.checks.judge(item.nodeid, look.detail.measured.readings(), phase)
        look.detail.findings += more
        return [*(found or ()), *more]

    def _judge_growth(
        self, look: Look, limit: Budget, found: list[Finding] | None
    ) -> list[Finding] | None:
        """Hold what a test left behind against the baseline; everything found then."""
        if limit.baseline_value is None:
            return found
        if look.lost:
            from pytest_memguard.judge.budget import not_measured

            grown: Finding | None = not_measured(limit, look.lost)
        else:
            from pytest_memguard.judge.regression_findings import number_finding

            _, growth = look.peak_and_growth()
            grown = number_finding(limit, limit.baseline_value, growth)
        if grown is None:
            return found
        look.detail_now().findings.append(grown)
        return [*(found or ()), grown]

    def _act(
        self,
        item: pytest.Item,
        look: Look,
        phase: PhaseName,
        found: list[Finding] | None,
        *,
        failed: bool = False,
    ) -> None:
        """Act on what was found in a phase.

        Raises:
            BudgetExceeded: if a budget was exceeded and the test has not failed itself.
        """
        __tracebackhide__ = True
        if look.setup_was_too_much:
            self.reports.activate()
        if not found:
            return
        # unittest's own failures do not raise; pytest puts them in place afterwards
        failed = failed or has_failed(item)
        self._found.act(Ended(item, look.detail_now(), phase, failed), found)

    def _plan_again(self, item: pytest.Item, look: Look) -> None:
        """Find the plan of a test whose markers changed during setup.

        Raises:
            pytest.fail.Exception: if one of them makes no sense.
        """
        planner = self.planner
        plan = planner.plan(item)
        self._refuse_markers(planner)
        look.plan_again(self.looks.demands_of(plan, item.nodeid))
        if look.setup_was_too_much:
            self.reports.activate()

    # Tests that are repeated

    def compare_leak(self, item: pytest.Item, reading: LeakReading) -> None:
        """Hold what a call leaves behind against the baseline.

        Raises:
            MemoryRegression: if it is more than was.
        """
        look, check = self._running.look, self.regressions
        limit = look.plan.leak if look is not None and look.plan is not None else None
        if look is None or limit is None or check is None:
            return
        finding = check.judge_leak(limit, reading)
        if finding is not None:
            look.detail_now().findings.append(finding)
            self._act(item, look, "call", [finding])

    def measure_early_teardown(self, item: pytest.Item, tear_down: Callable[[], None]) -> None:
        """Measure the teardown of a test that is going to be repeated.

        What it breaches is raised when pytest asks for the teardown.
        """
        look = self._running.look or self.looks.take_over()
        if look is not None and look.open is None:
            look.begin("teardown")
        self.looks.paused = self._running.is_taken = True
        tear_down()
        self.looks.paused = self._running.is_taken = False
        if look is not None:
            self.reports.activate()
            self._torn_early = self._end_teardown(item, look) or []

    def repeat(self, *, lasts: bool) -> None:
        """Measure nothing while a test is repeated, and forget then what is no longer so.

        Args:
            lasts: whether it is being repeated from now on; if not, it has been.
        """
        self.looks.paused = self._running.is_taken = lasts
        if not lasts:
            self.looks.begin_anew()

    # Tests that are run once more

    def _run_again(self) -> None:
        """In a forked child: make ready for a run under the exact tracker."""
        self._again(Needs(track=True))

    def _again(self, needs: Needs) -> None:
        self.looks.again(needs)
        self._measure_setup()
        self._running.again, self._running.look = True, None
        self.reports.activate()  # or the look would be gone at the end

    def measure_again(self, item: pytest.Item) -> Any:
        """In a forked child: run a test with everything it needs, and tell what it used."""
        from pytest_memguard.plugin.pytest_internals.running import runtestprotocol

        self._again(Needs(record=True))
        reports = runtestprotocol(item, log=False, nextitem=None)
        running = self._running
        look: Look | None = getattr(running, "look", None)  # set by the hooks
        self.instruments.folder.close()
        if look is None:
            return None
        from pytest_memguard.wire import outcome_to_json

        return outcome_to_json(
            Outcome(
                nodeid=item.nodeid,
                result="passed" if all(report.passed for report in reports) else "failed",
                phases=look.phase_readings(),
                stages=running.stages(look.detail),
                imports=running.imports,
            )
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Tell the controller what could not be measured; remove what lies on disk."""
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            gaps = self.instruments.gaps
            output[GAPS] = [{"subject": gap.subject, "reason": gap.reason} for gap in gaps]
        look = self._running.look
        if look is not None and look.detail is not None:
            look.detail.abandon()
        self.instruments.close()
