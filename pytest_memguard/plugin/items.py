"""One test: begin and end its phases, and act on what was found in them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_memguard import watch_host
from pytest_memguard.escapes import one_line
from pytest_memguard.measure.instruments import Instruments
from pytest_memguard.measure.measurement import Measurement
from pytest_memguard.measure.stage_host import set_current
from pytest_memguard.model import Finding, Outcome, PhaseName
from pytest_memguard.plugin.children import ChildrenWatch
from pytest_memguard.plugin.explainer import Explainer
from pytest_memguard.plugin.failures import printed
from pytest_memguard.plugin.fast_hooks import FastHooks
from pytest_memguard.plugin.found import Found
from pytest_memguard.plugin.last_failure import forget_last_failure
from pytest_memguard.plugin.marked_items import MarkedItem
from pytest_memguard.plugin.measured_tests import MeasuredTests
from pytest_memguard.plugin.names import is_marker_of_ours
from pytest_memguard.plugin.options import GAPS
from pytest_memguard.plugin.outcomes import OutcomeHooks
from pytest_memguard.plugin.properties import set_properties
from pytest_memguard.plugin.pytest_internals.items import has_failed
from pytest_memguard.plugin.rerun import Rerun
from pytest_memguard.plugin.slow_hooks import SetupHooks, SlowHooks
from pytest_memguard.plugin.so_far import PhaseEnd, SoFar
from pytest_memguard.plugin.suspects import Suspects
from pytest_memguard.settings import Settings

if TYPE_CHECKING:
    from pytest_memguard.checks.planned import Checks
    from pytest_memguard.leaks import LeakReading
    from pytest_memguard.plugin.fresh_regressions import FreshRegressions
    from pytest_memguard.probes.ended_children import EndedChildren


class ItemHooks:
    """Measures tests, in every process that runs any, and acts on what was found.

    Args:
        settings: the run's.
        instruments: the process's.
        suspects: the tests whose last run left a question.
        sink: takes an outcome; ``None`` in a worker, whose outcomes travel on reports.
        root: what paths are shown relative to.
        worker: xdist's name for this process.
        register: registers more hooks, once they are needed.
        checks: plan and judge tests.
        confirm: measures tests again, if asked for.

    Attributes:
        tests: begins to measure them.
        reports: makes outcomes.
        children: follows the descendants of tests.
        rerun: runs a test once more.
        confirm: measures tests again, if asked for.
        suspects: the tests whose last run left a question.
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
        checks: Checks,
        confirm: FreshRegressions | None,
    ) -> None:
        self.checks = checks
        self.confirm = confirm
        self.suspects = suspects
        self.instruments = instruments
        self._register = register
        self.tests = tests = MeasuredTests(
            settings, instruments, suspects, checks, self._activate
        )
        self._state = tests.state
        self._so_far = so_far = SoFar(tests.state, tests.measurement, f"{root}/")
        self.children = ChildrenWatch(tests.state, instruments.gaps)
        self._samples = settings.mem
        self.reports = OutcomeHooks(
            settings,
            suspects,
            tests,
            so_far,
            checks,
            sink,
            worker,
            register,
            confirm,
            self.children,
        )
        self.rerun = Rerun(tests, so_far, instruments, self._prepare_rerun)
        explainer = Explainer(settings, instruments, suspects, so_far, self.rerun)
        self._found = Found(tests, so_far, explainer, checks)
        self._torn_early: list[Finding] | None = None
        self._measures_setup = False
        if settings.measures_all or suspects:
            self.reports.activate()
        register(self._hooks(), "memguard-tests")

    def _hooks(self) -> object:
        """The hooks around a test: a fast path where the kernel helps."""
        mark, estimator = self.instruments.mark, self.instruments.slack_estimator
        if mark is None or estimator is None:
            return SlowHooks(self)
        self.tests.has_fast_path = True
        return FastHooks(self.tests, self, self.instruments, mark, estimator, self.children)

    def _activate(self) -> None:
        """Have reports made: there is going to be something in them."""
        self.reports.activate()

    @property
    def leak(self) -> LeakReading | None:
        """What the leak check said of the test that runs."""
        return self._state.leak

    @leak.setter
    def leak(self, reading: LeakReading) -> None:
        self._state.leak = reading
        self.reports.activate()

    @property
    def measures_again(self) -> bool:
        """Whether this is a child in which a test is run once more."""
        return self.tests.runs_again

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Make ready for the first test; let stages be told to us meanwhile."""
        self.begin(session)
        before = set_current(self.tests)
        takes_recordings = watch_host.set_current(self.reports.watched.keep)
        try:
            return (yield)
        finally:
            set_current(before)
            watch_host.set_current(takes_recordings)

    def begin(self, session: pytest.Session) -> None:
        """Make ready for the next test, be it the first of the run or not."""
        if self._samples:
            self.children.sample()
        if self.tests.begin_session(session):
            self._measure_setup()

    def begin_in_child(self) -> None:
        """Go on in a forked child, in which no test has run: its level is its own."""
        instruments = self.instruments
        self.children.forget_sampler()
        if not instruments.resident.lost:
            instruments.clean_level = instruments.resident.level()
        self.tests.begin_anew()

    def _measure_setup(self) -> None:
        """Have setup measured where it has a budget, or something asks for what it uses."""
        if not self._measures_setup:
            self._measures_setup = True
            self._register(SetupHooks(self.tests, self._act), "memguard-setup")

    # Tests that a high-water mark alone has bounded so far

    def begin_before_call(self, item: pytest.Item, setup: int) -> None:
        """Go on with a test that has been set up.

        Args:
            item: the test.
            setup: bytes by which the mark has risen since the call of the test before.
        """
        forget_last_failure()
        measurement = self.tests.begin(item)
        if self._state.detail is None:
            measurement.begin_after_setup(0, 0)
            measurement.rose_in_setup(setup)
            if self._state.setup_exceeds_limit:
                self.reports.activate()
            measurement.collect_late()
        else:
            measurement.begin_late("setup")

    def begin_in_fixture(self, ended: pytest.Item | None) -> None:
        """Go on with a test in the middle of its setup.

        Args:
            ended: the test whose call has ended last: if it is that one, it is torn down.
        """
        measurement = self.tests.measured_now()
        if measurement is not None and self._state.item is ended:
            self._state.forget()

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
        self.tests.plans.pop(item.nodeid, None)  # it had no budget of its own when it began
        self._state.markers = tuple(m for m in item.own_markers if not is_marker_of_ours(m))
        self.tests.begin(item).begin_bounded_call(before, after, started)
        if was_reset and self.instruments.mark is not None:
            self.instruments.mark.note_reset()

    # The phases

    def set_up(self, item: pytest.Item) -> None:
        """A test has been set up that the fast path cannot take on.

        Raises:
            BudgetExceeded: if a stage in a fixture exceeded its budget.
        """
        forget_last_failure()  # before garbage is collected: it holds some
        if self._state.is_measured and self._state.open == "setup":  # a stage in a fixture
            self._act(item, "setup", self.tests.measurement.end("setup"))
        else:
            self.tests.begin_after_setup(item).collect_late()

    def call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Measure a call for which the fast path is not enough."""
        tests, state = self.tests, self._state
        if tests.paused:
            return (yield)
        state.markers = tuple(item.own_markers)  # before slack is filled: it stays for a while
        measurement = tests.measured()
        if measurement is not None:
            if state.open == "setup":  # a stage in a fixture, and no hook has seen its end
                self._act(item, "setup", measurement.end("setup"))
            if len(item.own_markers) != tests.marked.get(item.nodeid, 0):
                self._plan_again(item, measurement)
            forget_last_failure()
            measurement.begin("call")
        state.open, state.item = "call", item
        modules = len(sys.modules)  # ours are there by now
        try:
            result = yield
        except BaseException:
            state.imports = len(sys.modules) - modules
            self.end_call(item, failed=True)
            raise
        state.imports = max(0, len(sys.modules) - modules)
        self.end_call(item, failed=False)
        if measurement is not None and not tests.runs_again:
            self._fail_after_call(item)
        return result

    def _fail_after_call(self, item: pytest.Item) -> None:
        """Fail a test where a check says so, whatever was measured.

        Raises:
            MemoryRegression: if the baseline does not have the test, where that counts.
        """
        __tracebackhide__ = True
        found = self.checks.after_call(MarkedItem(item))
        if found is not None:
            check, finding = found
            self.tests.measurement.detail_now()
            self._state.findings.append(finding)
            raise printed(check.error)(one_line(f"{finding.text} ({finding.rule})"), [finding])

    def end_call(self, item: pytest.Item, *, failed: bool) -> None:
        """Stop measuring the call, if anybody does, and act on what was found.

        Raises:
            BudgetExceeded: if a budget was exceeded and the test has not failed itself.
            pytest.fail.Exception: if it added a marker that makes no sense.
        """
        __tracebackhide__ = True
        measurement = self.tests.measured()
        if measurement is None:
            self._state.open = self._state.item = None
        late = self._late_findings(item, failed=failed)
        if measurement is None and late:
            measurement = self.tests.begin(item)
            measurement.begin_late("call")
        if measurement is None:
            return
        found = measurement.end("call")
        if late:
            measurement.detail_now()
            self._state.findings.extend(late)
            found = [*(found or ()), *late]
        self._act(item, "call", found, failed=failed)

    def do_children_matter(self, room: float) -> bool:
        """Whether children that have ended may have used up what a budget left over.

        Args:
            room: bytes between the test's own peak and its budget.
        """
        if not self.children.may_matter(room):
            return False
        self.reports.activate()
        return True

    def take_over_children(self, before: EndedChildren) -> None:
        """Go on with a test whose children may have used a budget up.

        Args:
            before: what was known of children when it began.
        """
        self.children.begin(before)
        self.reports.activate()

    def _late_findings(self, item: pytest.Item, *, failed: bool) -> list[Finding]:
        """A finding for each marker of a check that the test has added while it ran.

        Raises:
            pytest.fail.Exception: if one of them makes no sense.
        """
        before = self._state.markers
        if len(item.own_markers) == len(before):
            return []
        from pytest_memguard.plugin.late_markers import TOO_LATE

        test = MarkedItem(item)
        found = self.checks.too_late(test, test.added_since(before), TOO_LATE)
        problems = self.checks.take_problems()
        if not failed:
            refuse_markers(problems)
        return found

    def tear_down(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        """Measure teardown where the fast path is not enough."""
        measurement = self.tests.measured()
        if self.tests.paused:
            return (yield)
        if measurement is None and self.tests.plan_of(item) is not None:  # its setup failed
            measurement = self.tests.begin_after_setup(item)
        if measurement is None:
            return (yield from self._tear_down_unmeasured(item, nextitem))
        if self._torn_early is not None:
            result = yield
            torn, self._torn_early = self._torn_early, None
            self._act(item, "teardown", torn)
            return result
        if self._state.open is not None:  # its setup has failed in a stage
            measurement.end(self._state.open)
        measurement.begin("teardown")
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
        state = self._state
        state.open, state.item = "teardown", item
        failed = True
        try:
            result = yield
            failed = False
        finally:
            if state.is_measured:
                self.end_test(item, failed=failed)
            else:
                state.open = state.item = None
            self.tests.begin_after(nextitem)
        return result

    def end_test(self, item: pytest.Item, *, failed: bool) -> None:
        """Stop measuring a test, and act on what was found.

        Raises:
            BudgetExceeded: if a budget was exceeded and the test has not failed itself.
        """
        __tracebackhide__ = True
        measurement = self.tests.measured()
        if measurement is not None:
            found = self._end_teardown(item, measurement)
            self._act(item, "teardown", found, failed=failed)

    def _end_teardown(
        self, item: pytest.Item, measurement: Measurement
    ) -> list[Finding] | None:
        """Stop measuring the last phase, and judge what stays of the test."""
        found = measurement.end("teardown")
        state = self._state
        plan, detail = state.plan, measurement.detail
        asked = plan is not None or self.tests.keeps_all or detail is not None
        if asked and not self.tests.runs_again:  # or it had no stages, and nothing asks
            phases = detail.phase_readings() if detail is not None else ()
            limit = plan.requirements.main_limit if plan is not None else None
            numbers = None if measurement.lost else measurement.peak_and_growth()
            set_properties(item, numbers, limit, phases)
        if not self.reports.active:
            limit = plan.requirements.main_limit if plan is not None else None
            room = inf if limit is None else limit - measurement.rise("call")
            if not self.do_children_matter(room):
                state.forget()
        return found

    def _act(
        self,
        item: pytest.Item,
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
        if self._state.setup_exceeds_limit:
            self.reports.activate()
        if not found:
            return
        # unittest's own failures do not raise; pytest puts them in place afterwards
        failed = failed or has_failed(item)
        self.tests.measurement.detail_now()
        self.children.note()
        try:
            self._found.act(PhaseEnd(item, phase, failed), found)
        finally:
            self.children.leave_out()  # a child in which the test ran once more

    def _plan_again(self, item: pytest.Item, measurement: Measurement) -> None:
        """Find the plan of a test whose markers changed during setup.

        Raises:
            pytest.fail.Exception: if one of them makes no sense.
        """
        plan = self.checks.plan(MarkedItem(item), again=True)
        refuse_markers(self.checks.take_problems())
        measurement.plan_again(plan, self.tests.requirements_of(plan, item.nodeid))
        if self._state.setup_exceeds_limit:
            self.reports.activate()

    # Tests that are repeated

    def compare_leak(self, item: pytest.Item, reading: LeakReading) -> None:
        """Hold what a call leaves behind against the baseline.

        Raises:
            MemoryRegression: if it is more than was.
        """
        state = self._state
        if not state.is_measured:
            return
        found = self.checks.judge_leak(state.plan, reading)
        if found:
            self.tests.measurement.detail_now()
            state.findings += found
            self._act(item, "call", found)

    def measure_early_teardown(self, item: pytest.Item, tear_down: Callable[[], None]) -> None:
        """Measure the teardown of a test that is going to be repeated.

        What it breaches is raised when pytest asks for the teardown.
        """
        tests = self.tests
        measurement = tests.measured()
        if measurement is not None and self._state.open is None:
            measurement.begin("teardown")
        tests.paused = tests.is_taken = True
        tear_down()
        tests.paused = tests.is_taken = False
        if measurement is not None:
            self.reports.activate()
            self._torn_early = self._end_teardown(item, measurement) or []

    def repeat(self, *, lasts: bool) -> None:
        """Measure nothing while a test is repeated, and forget then what is no longer so.

        Args:
            lasts: whether it is being repeated from now on; if not, it has been.
        """
        self.tests.paused = self.tests.is_taken = lasts
        if lasts:
            self.children.note()
        else:
            self.children.leave_out()
            self.tests.begin_anew()

    # Tests that are run once more

    def _prepare_rerun(self) -> None:
        """In a child: have setup measured, and all kept that is known at the end."""
        self._measure_setup()
        self.reports.activate()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Tell the controller what could not be measured; remove what lies on disk."""
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            gaps = self.instruments.gaps
            output[GAPS] = [{"subject": gap.subject, "reason": gap.reason} for gap in gaps]
        detail = self.tests.measurement.detail
        if detail is not None:
            detail.abandon()
        self.children.close()
        self.instruments.close()


def refuse_markers(problems: list[str]) -> None:
    """Fail a test with what is wrong with its markers, if anything is.

    Raises:
        pytest.fail.Exception: with a line for each problem.
    """
    if problems:
        raise pytest.fail.Exception("\n".join(problems), pytrace=False)
