"""The phases of a test for which the fast path is not enough, and what was found in them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from math import inf
from typing import TYPE_CHECKING

import pytest

from pytest_memguard.escapes import one_line
from pytest_memguard.plugin.changed_markers import ChangedMarkers
from pytest_memguard.plugin.failures import printed
from pytest_memguard.plugin.last_failure import forget_last_failure
from pytest_memguard.plugin.marked_items import MarkedItem
from pytest_memguard.plugin.properties import set_properties
from pytest_memguard.plugin.pytest_internals.items import has_failed
from pytest_memguard.plugin.so_far import PhaseEnd

if TYPE_CHECKING:
    from pytest_memguard.checks.planned import Checks
    from pytest_memguard.measure.measurement import Measurement
    from pytest_memguard.model.measurements import Finding, PhaseName
    from pytest_memguard.plugin.children import ChildrenWatch
    from pytest_memguard.plugin.found import Found
    from pytest_memguard.plugin.measured_tests import MeasuredTests
    from pytest_memguard.plugin.outcomes import OutcomeHooks


class Phases:
    """Begins and ends the phases of a test, and acts on what was found in them.

    Args:
        tests: begins to measure them.
        checks: judge what was measured.
        reports: makes outcomes.
        children: follows the descendants of tests.
        found: acts on findings.
    """

    def __init__(
        self,
        tests: MeasuredTests,
        checks: Checks,
        reports: OutcomeHooks,
        children: ChildrenWatch,
        found: Found,
    ) -> None:
        self._tests = tests
        self._state = tests.state
        self._checks = checks
        self._reports = reports
        self._children = children
        self._found = found
        self._markers = ChangedMarkers(tests, checks, reports.activate)
        self._torn_early: list[Finding] | None = None

    def set_up(self, item: pytest.Item) -> None:
        """A test has been set up that the fast path cannot take on.

        Raises:
            BudgetExceeded: if a stage in a fixture exceeded its budget.
        """
        forget_last_failure()  # before garbage is collected: it holds some
        if self._state.is_measured and self._state.open == "setup":  # a stage in a fixture
            self.act(item, "setup", self._tests.measurement.end("setup"))
        else:
            self._tests.begin_after_setup(item).collect_late()

    @pytest.hookimpl(wrapper=True, trylast=True)
    def call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Measure a call for which the fast path is not enough."""
        tests, state = self._tests, self._state
        if tests.paused:
            return (yield)
        state.markers = tuple(item.own_markers)  # before slack is filled: it stays for a while
        measurement = tests.measured()
        if measurement is not None:
            if state.open == "setup":  # a stage in a fixture, and no hook has seen its end
                self.act(item, "setup", measurement.end("setup"))
            if len(item.own_markers) != tests.marked.get(item.nodeid, 0):
                self._markers.plan_again(item, measurement)
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
        if measurement is not None and self._checks.may_fail_calls and not tests.runs_again:
            self._fail_after_call(item)
        return result

    def _fail_after_call(self, item: pytest.Item) -> None:
        """Fail a test where a check says so, whatever was measured.

        Raises:
            MemoryRegression: if the baseline does not have the test, where that counts.
        """
        __tracebackhide__ = True
        found = self._checks.after_call(MarkedItem(item))
        if found is not None:
            check, finding = found
            self._tests.measurement.detail_now()
            self._state.findings.append(finding)
            raise printed(check.error)(one_line(f"{finding.text} ({finding.rule})"), [finding])

    def end_call(self, item: pytest.Item, *, failed: bool) -> None:
        """Stop measuring the call, if it is measured, and act on the findings.

        Raises:
            BudgetExceeded: if a budget was exceeded and the test has not failed itself.
            pytest.fail.Exception: if it added a marker that makes no sense.
        """
        __tracebackhide__ = True
        measurement = self._tests.measured()
        if measurement is None:
            self._state.open = self._state.item = None
        late = self._markers.findings(item, failed=failed)
        if measurement is None and late:
            measurement = self._tests.begin(item)
            measurement.begin_late("call")
        if measurement is None:
            return
        found = measurement.end("call")
        if late:
            measurement.detail_now()
            self._state.findings.extend(late)
            found = [*(found or ()), *late]
        if found or self._state.setup_exceeds_limit:
            self.act(item, "call", found, failed=failed)

    def do_children_matter(self, room: float) -> bool:
        """Whether children that have ended may have used up what a budget left over.

        Args:
            room: bytes between the test's own peak and its budget.
        """
        if not self._children.may_matter(room):
            return False
        self._reports.activate()
        return True

    @pytest.hookimpl(wrapper=True, trylast=True)
    def tear_down(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        """Measure teardown where the fast path is not enough."""
        measurement = self._tests.measured()
        if self._tests.paused:
            return (yield)
        if measurement is None and self._tests.plan_of(item) is not None:  # its setup failed
            measurement = self._tests.begin_after_setup(item)
        if measurement is None:
            return (yield from self._tear_down_unmeasured(item, nextitem))
        if self._torn_early is not None:
            result = yield
            torn, self._torn_early = self._torn_early, None
            self.act(item, "teardown", torn)
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
            self._tests.begin_after(nextitem)
        return result

    def measure_early_teardown(self, item: pytest.Item, tear_down: Callable[[], None]) -> None:
        """Measure the teardown of a test that is going to be repeated.

        What it breaches is raised when pytest asks for the teardown.
        """
        tests = self._tests
        measurement = tests.measured()
        if measurement is not None and self._state.open is None:
            measurement.begin("teardown")
        tests.paused = tests.is_taken = True
        tear_down()
        tests.paused = tests.is_taken = False
        if measurement is not None:
            self._reports.activate()
            self._torn_early = self._end_teardown(item, measurement) or []

    def end_test(self, item: pytest.Item, *, failed: bool) -> None:
        """Stop measuring a test, and act on what was found.

        Raises:
            BudgetExceeded: if a budget was exceeded and the test has not failed itself.
        """
        __tracebackhide__ = True
        measurement = self._tests.measured()
        if measurement is not None:
            found = self._end_teardown(item, measurement)
            if found or self._state.setup_exceeds_limit:
                self.act(item, "teardown", found, failed=failed)

    def _end_teardown(
        self, item: pytest.Item, measurement: Measurement
    ) -> list[Finding] | None:
        """Stop measuring the last phase, and judge what stays of the test."""
        found = measurement.end("teardown")
        state = self._state
        plan, detail = state.plan, measurement.detail
        asked = plan is not None or self._tests.keeps_all or detail is not None
        if asked and not self._tests.runs_again:  # or it had no stages, and nothing asks
            phases = detail.phase_readings() if detail is not None else ()
            limit = plan.requirements.main_limit if plan is not None else None
            numbers = None if measurement.lost else measurement.peak_and_growth()
            set_properties(item, numbers, limit, phases)
        if not self._reports.active:
            limit = plan.requirements.main_limit if plan is not None else None
            room = inf if limit is None else limit - measurement.rise("call")
            if not self.do_children_matter(room):
                state.forget()
        return found

    def act(
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
            self._reports.activate()
        if not found:
            return
        # unittest's own failures do not raise; pytest puts them in place afterwards
        failed = failed or has_failed(item)
        self._tests.measurement.detail_now()
        self._children.note()
        try:
            self._found.act(PhaseEnd(item, phase, failed), found)
        finally:
            self._children.leave_out()  # a child in which the test ran once more
