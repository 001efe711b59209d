"""What tests' reports get of their memory, and the outcomes that are handed on with them."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING

import pytest

from pytest_memguard.model import Finding, Outcome
from pytest_memguard.plugin.explain import Suspects
from pytest_memguard.plugin.failures import TextAlone
from pytest_memguard.plugin.running import Running
from pytest_memguard.settings import Settings

if TYPE_CHECKING:
    from pytest_memguard.plugin.confirm import Confirm
    from pytest_memguard.plugin.look import Look


class OutcomeHooks:
    """Makes outcomes of tests; registered once there is something to tell.

    A hook that pytest calls three times a test would cost as much as two of the system
    calls that measure it, and in a run with budgets alone most tests have nothing to tell.

    Args:
        settings: the run's.
        suspects: the tests that were tracked from the start.
        running: the test that runs.
        sink: takes an outcome; ``None`` in a worker, whose outcomes travel on reports.
        worker: xdist's name for this process.
        register: makes pytest call these hooks from now on.
        confirm: measures tests again where their numbers are to be stored, if asked for.

    Attributes:
        active: whether they are registered.
    """

    def __init__(
        self,
        settings: Settings,
        suspects: Suspects,
        running: Running,
        sink: Callable[[Outcome], None] | None,
        worker: str,
        register: Callable[[object, str], object],
        confirm: Confirm | None,
    ) -> None:
        self.active = False
        self._confirm = confirm
        self._left_out: Mapping[str, str] = {}
        self._settings = settings
        self._suspects = suspects
        self._running = running
        self._sink = sink
        self._worker = worker
        self._register = register
        self._keeps_all = settings.measures_all
        self._process = os.getpid()
        self._results: dict[str, str] = {}

    def activate(self) -> None:
        """Have these hooks called, from the next report on."""
        if not self.active:
            self.active = True
            self._register(self, "memguard-reports")

    def leave_out(self, reasons: Mapping[str, str]) -> None:
        """Report tests that the leak check leaves out.

        Args:
            reasons: why, by node id.
        """
        self._left_out = reasons

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Put the peak into the call's report; after teardown, hand the outcome on."""
        report = yield
        running = self._running
        look = running.look
        if running.again:
            return report
        if call.when == "setup":
            self._results = {}
        self._results[call.when] = result_of(report)
        if report.failed:
            point_at_test(item, call, report)
        if call.when == "call" and look is not None:
            self._complete_call_report(report, look)
        elif call.when == "teardown":
            running.look = None
            if self._has_something_to_tell(item, look):
                self._hand_on(item, look, report)
            running.leak = None
        return report

    def _has_something_to_tell(self, item: pytest.Item, look: Look | None) -> bool:
        nodeid = item.nodeid
        if self._running.leak is not None or nodeid in self._left_out:
            return True
        if look is None:
            return False
        return (
            look.detail is not None
            or self._keeps_all
            or nodeid in self._suspects
            or look.setup_was_too_much
        )

    def _complete_call_report(self, report: pytest.TestReport, look: Look) -> None:
        if self._settings.mem and not look.lost:
            report.memguard_peak = look.peak_and_growth()[0]  # type: ignore[attr-defined]
        detail = look.detail
        if report.failed and detail is not None and detail.stages.sums and not detail.breached:
            from pytest_memguard.report.failure import stage_lines
            from pytest_memguard.report.table import stage_table

            stages = self._running.stages(detail)
            call = next((p for p in detail.phase_readings() if p.name == "call"), None)
            parts = [stage_table(stages, call), *stage_lines(stages)]
            report.sections.append(("Memory stages", "\n\n".join(parts)))

    def _hand_on(self, item: pytest.Item, look: Look | None, report: pytest.TestReport) -> None:
        result = combined_result(self._results)
        findings, notes = self._last_words(look, result) if look is not None else ((), ())
        leak, skipped = self._running.leak, self._left_out.get(item.nodeid, "")
        told = findings or notes or leak or skipped
        if not (self._keeps_all or told or item.nodeid in self._suspects):
            return
        file, line, _ = item.location
        outcome = Outcome(
            nodeid=item.nodeid,
            file=file,
            line=(line or 0) + 1,
            result=result,
            worker=self._worker,
            phases=look.phase_readings() if look is not None else (),
            stages=self._running.stages(look.detail) if look is not None else (),
            budgets=look.plan.budgets if look and look.plan else (),
            findings=findings,
            notes=notes,
            overhead=look.overhead if look is not None else 0.0,
            leak=leak,
            leak_skipped=skipped,
            imports=self._running.imports,
        )
        if self._confirm is not None and self._settings.saves and not findings:
            outcome = self._confirm.exactly(outcome)
        if self._sink is not None and os.getpid() == self._process:
            self._sink(outcome)
        else:
            import json

            from pytest_memguard.wire import outcome_to_json

            # as a text of ASCII: pytest-xdist refuses texts with half a character in them
            text = json.dumps(outcome_to_json(outcome))
            report.memguard = text  # type: ignore[attr-defined]

    def _last_words(
        self, look: Look, result: str
    ) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
        plan, detail = look.plan, look.detail
        notes: tuple[str, ...] = ()
        findings: tuple[Finding, ...] = ()
        if plan is not None and look.setup_was_too_much:
            from pytest_memguard.judge.budget import uncovered_setup

            notes = (uncovered_setup(plan.budgets, look.rise("setup")),)
        if detail is not None:
            notes += tuple(detail.notes)
            if detail.stages.unfinished:
                notes += ("a stage was entered and never left; it is not in the table",)
            # a test that failed or skipped may have stopped before its stages
            ran = result in {"passed", "xpassed"}
            findings = tuple(f for f in detail.findings if ran or f.rule != "stage-not-run")
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
        crash.message = crash.message.partition("\n")[0]
        crash.path, crash.lineno = str(item.path), (item.location[1] or 0) + 1


def result_of(report: pytest.TestReport) -> str:
    """What one report says of its phase."""
    if report.failed:
        return "failed" if report.when == "call" else "error"
    if hasattr(report, "wasxfail"):
        return "xfailed" if report.skipped else "xpassed"
    return "skipped" if report.skipped else "passed"


def combined_result(results: Mapping[str, str]) -> str:
    """The result of a test from those of its phases."""
    if "error" in results.values():
        return "error"
    setup = results.get("setup", "passed")
    return setup if setup != "passed" else results.get("call", "passed")
