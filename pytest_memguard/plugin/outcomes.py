"""What tests' reports get of their memory, and the outcomes that are handed on with them."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import pytest

from pytest_memguard.model.measurements import BREACHES, Finding, MarkedPhaseNumbers
from pytest_memguard.model.metrics import metric_named
from pytest_memguard.model.results import Outcome
from pytest_memguard.options.settings import Settings
from pytest_memguard.plugin.failures import TextAlone
from pytest_memguard.plugin.measured_tests import MeasuredTests
from pytest_memguard.plugin.so_far import SoFar
from pytest_memguard.plugin.suspects import Suspects
from pytest_memguard.plugin.watched_programs import WatchedPrograms

if TYPE_CHECKING:
    from pytest_memguard.checks.planned import Checks
    from pytest_memguard.plugin.children import ChildrenWatch
    from pytest_memguard.plugin.fresh.fresh_regressions import FreshRegressions


class Sink(Protocol):
    """Keeps the results of tests."""

    def add(self, outcome: Outcome) -> None:
        """Keep a result."""

    def add_plain(
        self,
        nodeid: str,
        place: tuple[str, int],
        result: str,
        imports: int,
        overhead: float,
        phases: Sequence[MarkedPhaseNumbers],
    ) -> None:
        """Keep the result of a test of which nothing is known but these numbers."""


class OutcomeHooks:
    """Makes outcomes of tests; registered once there is something to report.

    A hook that pytest calls three times a test would cost as much as two of the system
    calls that measure it, and in a run with budgets alone most tests have nothing to report.

    Args:
        settings: the settings of the run.
        suspects: the tests whose last run left a question.
        tests: knows which of them are measured.
        so_far: reads what is known of the one that runs.
        checks: add what they know to outcomes.
        sink: takes outcomes; ``None`` in a worker, whose outcomes travel on reports.
        worker: xdist's name for this process.
        register: makes pytest call these hooks from now on.
        confirm: measures tests again where their numbers are to be stored, if asked for.
        children: follows the descendants of tests.

    Attributes:
        active: whether they are registered.
        watched: what tests record of other programs.
    """

    def __init__(
        self,
        settings: Settings,
        suspects: Suspects,
        tests: MeasuredTests,
        so_far: SoFar,
        checks: Checks,
        sink: Sink | None,
        worker: str,
        register: Callable[[object, str], object],
        confirm: FreshRegressions | None,
        children: ChildrenWatch,
    ) -> None:
        self.active = False
        self._confirm = confirm
        self._children = children
        self._settings = settings
        self._suspects = suspects
        self._tests = tests
        self._so_far = so_far
        self._checks = checks
        self._state = tests.state
        self._measurement = tests.measurement
        self._sink = sink
        self._worker = worker
        self._register = register
        self._keeps_all = settings.measures_all
        self._process = os.getpid()
        self._results: dict[str, str] = {}
        self.watched = WatchedPrograms(lambda: tests.paused, self.activate)

    def activate(self) -> None:
        """Have these hooks called, from the next report on."""
        if not self.active:
            self.active = True
            self._register(self, "memguard-reports")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Put the peak into the call's report; after teardown, hand the outcome on."""
        if self.watched.readings:
            self.watched.set_properties(item.user_properties)
        report = yield
        if self._tests.runs_again:
            return report
        when = call.when
        if when == "setup":
            self._results = {}
        self._results[when] = result_of(report)
        if report.outcome == "failed":
            point_at_test(item, call, report)
        if when == "call":
            if self._state.is_measured:
                self._complete_call_report(report)
        elif when == "teardown":
            self._end_test(item, report)
        return report

    def _end_test(self, item: pytest.Item, report: pytest.TestReport) -> None:
        """Hand on the outcome of a test that has been torn down, if it says anything."""
        state = self._state
        measured = state.is_measured
        self._children.end(was_measured=measured)
        if (measured and self._keeps_all) or self._has_something_to_report(item):
            self._hand_on(item, report, measured=measured)
        self.watched.readings = []
        if not state.is_fast:
            state.forget()
        state.leak = None

    def _has_something_to_report(self, item: pytest.Item) -> bool:
        nodeid, state = item.nodeid, self._state
        if state.leak is not None or self.watched.readings or self._checks.reports(nodeid):
            return True
        return state.is_measured and (
            state.detail is not None
            or nodeid in self._suspects
            or state.setup_exceeds_limit
            or self._children.peak is not None
        )

    def _complete_call_report(self, report: pytest.TestReport) -> None:
        if self._settings.mem and not self._measurement.lost:
            peak, _ = self._measurement.peak_and_growth()
            report.memguard_peak = peak  # type: ignore[attr-defined]
        detail = self._state.detail
        if report.outcome != "failed" or detail is None:
            return
        breached = any(finding.rule in BREACHES for finding in self._state.findings)
        if detail.stages.sums and not breached:
            from pytest_memguard.report.failure import stage_lines
            from pytest_memguard.report.table import stage_table

            stages = self._so_far.stages()
            call = next((p for p in detail.phase_readings() if p.name == "call"), None)
            parts = [stage_table(stages, call), *stage_lines(stages)]
            report.sections.append(("Memory stages", "\n\n".join(parts)))

    def _hand_on_plain(self, item: pytest.Item, result: str) -> bool:
        """Hand on the numbers of a test, if there is nothing else; whether that is so."""
        state, sink = self._state, self._sink
        if (
            sink is None
            or self._confirm is not None
            or state.plan is not None
            or state.detail is not None
            or state.leak is not None
            or state.setup_exceeds_limit
            or self.watched.readings
            or self._children.peak is not None
            or not self._checks.adds_nothing(item.nodeid)
            or os.getpid() != self._process
        ):
            return False
        file, line, _ = item.location
        numbers = self._measurement.marked_numbers()
        place = file, (line or 0) + 1
        sink.add_plain(item.nodeid, place, result, state.imports, state.overhead, numbers)
        return True

    def _hand_on(self, item: pytest.Item, report: pytest.TestReport, *, measured: bool) -> None:
        state, result = self._state, combined_result(self._results)
        if measured and self._keeps_all and self._hand_on_plain(item, result):
            return
        findings, notes = self._last_words(result) if measured else ((), ())
        phases = self._measurement.phase_readings() if measured else ()
        plan = state.plan if measured else None
        if measured and plan is not None:
            own = next((p.peak() for p in phases if p.name == "call"), None)
            notes += tuple(self._children.notes(plan.requirements.limits, own))
        leak = state.leak
        watched = tuple(self.watched.readings)
        details = findings or notes or leak or watched or self._checks.reports(item.nodeid)
        if not (self._keeps_all or details or item.nodeid in self._suspects):
            return
        file, line, _ = item.location
        outcome = Outcome(
            nodeid=item.nodeid,
            file=file,
            line=(line or 0) + 1,
            result=result,
            worker=self._worker,
            phases=self._children.in_phases(phases),
            stages=self._so_far.stages() if measured else (),
            findings=findings,
            notes=notes,
            overhead=state.overhead if measured else 0.0,
            leak=leak,
            imports=state.imports,
            watched=watched,
        )
        outcome = self._checks.complete(outcome, plan)
        if self._confirm is not None:
            outcome = self._confirm.cold(outcome)
            self._children.leave_out()
        if self._sink is not None and os.getpid() == self._process:
            self._sink.add(outcome)
        else:
            import json

            from pytest_memguard.codecs.run_codec import OUTCOME_CODEC

            # as a text of ASCII: pytest-xdist refuses texts with half a character in them
            text = json.dumps(OUTCOME_CODEC.write(outcome))
            report.memguard = text  # type: ignore[attr-defined]

    def _last_words(self, result: str) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
        state, detail = self._state, self._measurement.detail
        findings: tuple[Finding, ...] = ()
        uncovered = self._measurement.rise("setup") if state.setup_exceeds_limit else None
        notes = tuple(self._checks.notes(state.plan, uncovered))
        if detail is not None:
            notes += tuple(state.notes)
            if detail.stages.unfinished:
                notes += ("a stage was entered and never left; it is not in the table",)
            # a test that failed or skipped may have stopped before its stages
            ran = result in {"passed", "xpassed"}
            findings = tuple(f for f in state.findings if ran or f.rule != "stage-not-run")
        return findings, notes


def point_at_test(
    item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport
) -> None:
    """Let a breach be one line in summary and JUnit, at the test's own line.

    Its tables are in the failure itself; pytest shortens the summary to the width of a
    terminal, but prints all of it in CI. Without this, ``--tb=line`` names our own file.
    """
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None and call.excinfo and isinstance(call.excinfo.value, TextAlone):
        error = call.excinfo.value
        first = crash.message.partition("\n")[0]
        numbers = short_numbers(getattr(error, "findings", ()))
        crash.message = f"{numbers}: {first.partition(': ')[2]}" if numbers else first
        if not call.excinfo.value.pytrace:  # the line of a hard budget is the test's own
            crash.path, crash.lineno = str(item.path), (item.location[1] or 0) + 1
            report.memguard_alone = True  # type: ignore[attr-defined]


def short_numbers(findings: Sequence[Finding]) -> str:
    """What was measured and what is allowed: "5.4 MiB > 2.0 MiB"; empty if it is no peak.

    Args:
        findings: what a test fails with.
    """
    finding = findings[0] if findings else None
    if (
        finding is None
        or finding.peak is None
        or finding.rule not in {"over-budget", "regression"}
    ):
        return ""
    cause, limit = finding.cause, finding.budget.limit
    if (cause is not None and cause.is_fill) or finding.peak.value <= limit:
        return ""  # it is another number that is too large: the cold peak, or a bound
    return " > ".join(metric_named(finding.budget.metric).amounts(finding.peak.value, limit))


def result_of(report: pytest.TestReport) -> str:
    """What one report says of its phase."""
    outcome = report.outcome  # not by properties: three reports of every test are asked
    if outcome == "failed":
        return "failed" if report.when == "call" else "error"
    if hasattr(report, "wasxfail"):
        return "xfailed" if outcome == "skipped" else "xpassed"
    return "skipped" if outcome == "skipped" else "passed"


def combined_result(results: Mapping[str, str]) -> str:
    """The result of a test from those of its phases."""
    if "error" in results.values():
        return "error"
    setup = results.get("setup", "passed")
    return setup if setup != "passed" else results.get("call", "passed")
