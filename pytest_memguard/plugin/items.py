"""One test: begin and end its phases, raise what the judges found, hand on the outcome."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from _pytest.runner import runtestprotocol  # no public name does this

from pytest_memguard.errors import (
    BudgetExceeded,
    LeakDetected,
    MemoryBudgetWarning,
    MemoryRegression,
)
from pytest_memguard.judge.budget import uncovered_setup
from pytest_memguard.judge.former import judge_number
from pytest_memguard.leaks import LeakReading
from pytest_memguard.model import BREACHES, CallSite, Finding, Outcome, PhaseName
from pytest_memguard.plugin.explain import (
    RERUN_SECONDS,
    Suspects,
    leaves_question,
    rerun,
)
from pytest_memguard.plugin.look import Look
from pytest_memguard.plugin.measuring import Measurement, Needs
from pytest_memguard.plugin.options import GAPS
from pytest_memguard.plugin.plans import Plan, Planner
from pytest_memguard.recording.instruments import Instruments
from pytest_memguard.settings import Settings
from pytest_memguard.units import format_size
from pytest_memguard.wire import outcome_from_json, outcome_to_json

if TYPE_CHECKING:
    from pytest_memguard.plugin.confirm import Confirm
    from pytest_memguard.plugin.regressions import RegressionCheck

_NEXT: Final = (
    "Allocation lines: run this test again; the next run measures it under memray from the "
    "start (--mem-explain=next)."
)
_NO_CACHE: Final = (
    "Allocation lines need pytest's cache, which is switched off (-p no:cacheprovider), or "
    "--mem-explain=rerun."
)
_PROPERTIES: Final = (
    "memguard_peak_bytes",
    "memguard_delta_bytes",
    "memguard_budget_bytes",
)


class _Breach(BudgetExceeded, pytest.fail.Exception):  # type: ignore[misc, name-defined]
    """What a test fails with: the public error, printed as text alone, like pytest.fail."""

    def __init__(self, message: str, findings: Sequence[Finding]) -> None:
        BudgetExceeded.__init__(self, message, findings)
        self.msg = message
        self.pytrace = False


_Breach.__module__, _Breach.__qualname__ = "builtins", "BudgetExceeded"


def fail_with(findings: Iterable[Finding]) -> None:
    """Fail the test with what was found too much, if anything was.

    Raises:
        BudgetExceeded: with a line a breach.
    """
    breaches = [replace(f, raised=True) for f in findings if f.rule == "over-budget"]
    if breaches:
        from pytest_memguard.report.failure import failure_text

        raise _Breach(failure_text(breaches, (), None), breaches)


def _warn(item: pytest.Item, text: str, *, failed: bool) -> None:
    """Warn in the name of a test; where warnings are errors, fail with the text alone."""
    try:
        item.warn(MemoryBudgetWarning(text))
    except MemoryBudgetWarning:
        if not failed:
            message = f"MemoryBudgetWarning: {text}"
            raise pytest.fail.Exception(message, pytrace=False) from None


class ItemHooks:
    """The hooks around a test, in every process that runs tests.

    Args:
        settings: the run's.
        instruments: the process's.
        suspects: the tests to track from the start.
        sink: takes an outcome; ``None`` in a worker, whose outcomes travel on reports.
        root: what paths are shown relative to.
        worker: xdist's name for this process.
    """

    def __init__(
        self,
        settings: Settings,
        instruments: Instruments,
        suspects: Suspects,
        sink: Callable[[Outcome], None] | None,
        root: Path,
        worker: str,
    ) -> None:
        self.plans: dict[str, Plan | None] = {}
        self.default_plan: Plan | None = None
        self.planner: Planner | None = None
        self._settings = settings
        self.instruments = instruments
        self._suspects = suspects
        self._sink = sink
        self._root = f"{root}/"
        self._worker = worker
        self._keeps_all = settings.measures_all
        self.regressions: RegressionCheck | None = None
        self.confirm: Confirm | None = None
        self._imports = 0
        self._modules = 0
        self.current: Look | None = None
        self._reports: dict[str, pytest.TestReport] = {}
        self._marks = 0
        self._process = os.getpid()
        self._again: Needs | None = None
        self._records = settings.saves or settings.compares
        self._usual_needs = Needs(
            drill=settings.drill, record=self._records, warn=settings.warn
        )
        self.paused = False  # while a test is repeated
        self.leak: LeakReading | None = None
        self.leak_skipped: Mapping[str, str] = {}
        self._torn_early: list[Finding] | None = None

    # The phases

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        """Measure setup."""
        if self.paused:
            return (yield)
        self.leak = self._torn_early = None
        self._reports = {}
        nodeid = item.nodeid
        plan = self.plans.get(nodeid, self.default_plan)
        asks = (
            plan is not None
            or self._keeps_all
            or self._settings.drill
            or "memguard" in getattr(item, "fixturenames", ())
        )
        if not asks and self.instruments.mark is None:
            self.current = None  # no thread of ours around a test that did not ask
            self.instruments.base = 0
            return (yield)
        look = self.current = Look(
            plan,
            self.instruments,
            self._needs(nodeid),
            lambda: memray_user(item),
            wants_stages=asks,
            bounds=self._keeps_all,
        )
        self._marks = len(item.own_markers)
        self._imports, self._modules = 0, len(sys.modules)
        look.begin("setup")
        try:
            result = yield
        except BaseException:
            self._ended(item, look, "setup", failed=True)
            raise
        self._ended(item, look, "setup")
        return result

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Measure the call."""
        look = self.current
        if look is None or self.paused:
            return (yield)
        if len(item.own_markers) != self._marks:
            look.plan_again(self._plan_again(item))
        if hasattr(sys, "last_value"):
            _forget_last_failure()
        look.begin("call")
        modules = len(sys.modules)  # ours are there by now
        try:
            result = yield
        except BaseException:
            self._imports = len(sys.modules) - modules
            self._ended(item, look, "call", failed=True)
            raise
        self._imports = max(0, len(sys.modules) - modules)
        self._ended(item, look, "call")
        if self.regressions is not None and self._again is None:
            self.regressions.refuse_new(item)
        return result

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        """Measure teardown."""
        look = self.current
        if look is None or not look.begun or self.paused:
            return (yield)
        if nextitem is None or nextitem.parent is not item.parent:
            self.instruments.wider_fixtures_went()
        if self._torn_early is not None:
            result = yield
            if self._torn_early:
                self._act(item, look.detail_now(), "teardown", self._torn_early, failed=False)
            return result
        look.begin("teardown")
        try:
            result = yield
        except BaseException:
            self._ended(item, look, "teardown", failed=True)
            raise
        self._ended(item, look, "teardown")
        return result

    def _ended(
        self, item: pytest.Item, look: Look, phase: PhaseName, *, failed: bool = False
    ) -> None:
        """Stop measuring a phase, and act on what was found.

        Raises:
            BudgetExceeded: if a budget was exceeded and the test has not failed itself.
        """
        __tracebackhide__ = True
        found = self._end(look, phase)
        if found:
            # unittest's own failures do not raise; pytest puts them in place afterwards
            failed = failed or bool(getattr(item, "_excinfo", None))
            self._act(item, look.detail_now(), phase, found, failed=failed)

    def _end(self, look: Look, phase: PhaseName) -> list[Finding]:
        """Stop measuring a phase, and judge it; after the last one, what stays of the test."""
        found = look.end(phase) or []
        limit = look.plan.growth if phase == "teardown" and look.plan is not None else None
        if limit is not None and limit.former is not None:
            _, growth = look.peak_and_growth()
            grown = judge_number(limit, limit.former, growth, "growth of resident memory")
            if grown is not None:
                look.detail_now().findings.append(grown)
                found = [*found, grown]
        return found

    def compare_leak(self, item: pytest.Item, reading: LeakReading) -> None:
        """Hold what a call leaves behind against the baseline.

        Raises:
            MemoryRegression: if it is more than was.
        """
        look, check = self.current, self.regressions
        limit = look.plan.leak if look is not None and look.plan is not None else None
        if look is None or limit is None or check is None:
            return
        finding = check.judge_leak(limit, reading)
        if finding is not None:
            look.detail_now().findings.append(finding)
            self._act(item, look.detail_now(), "call", [finding], failed=False)

    def measure_early_teardown(self, tear_down: Callable[[], None]) -> None:
        """Measure the teardown of a test that is going to be repeated.

        What it breaches is raised when pytest asks for the teardown.
        """
        look = self.current
        if look is None or not look.begun:
            tear_down()
            return
        look.begin("teardown")
        tear_down()
        self._torn_early = self._end(look, "teardown")

    def repeated(self) -> None:
        """Forget what is no longer so after a test has been repeated."""
        self.instruments.base = 0

    def _plan_again(self, item: pytest.Item) -> Plan | None:
        """The plan of a test whose markers changed during setup.

        Raises:
            pytest.fail.Exception: if one of them makes no sense.
        """
        planner = self.planner
        if planner is None:
            return self.default_plan
        plan = planner.plan(item)
        if planner.problems:
            problems, planner.problems = planner.problems, []
            raise pytest.fail.Exception("\n".join(problems), pytrace=False)
        return plan

    def _needs(self, nodeid: str) -> Needs:
        if self._again is not None:
            return self._again
        if self._settings.explain == "next" and nodeid in self._suspects:
            return replace(self._usual_needs, track=True)
        return self._usual_needs

    # What was found

    def _act(
        self,
        item: pytest.Item,
        measurement: Measurement,
        phase: PhaseName,
        found: Sequence[Finding],
        *,
        failed: bool,
    ) -> None:
        warns = self._settings.mode == "warn"
        if self._again is None:
            found = self._considered(item, measurement, phase, found, failed=failed)
            breaches = [f for f in found if f.rule == "over-budget"]
            regressed = [f for f in found if self._fails(item, f)]
            explained = [
                replace(
                    self._explain(item, measurement, phase, finding, failed=failed),
                    raised=not failed and (finding in regressed or not warns),
                )
                for finding in breaches + regressed
            ]
            measurement.replace_findings(
                dict(zip(breaches + regressed, explained, strict=True))
            )
            fatal = [finding for finding in explained if finding.raised]
            if fatal:
                self._fail(item, measurement, fatal)
        for finding in found:
            if finding.rule == "near-budget" or (finding.rule == "over-budget" and warns):
                _warn(item, f"{finding.text} ({finding.rule})", failed=failed)

    def _considered(
        self,
        item: pytest.Item,
        measurement: Measurement,
        phase: PhaseName,
        found: Sequence[Finding],
        *,
        failed: bool,
    ) -> list[Finding]:
        """Findings with what the regression check makes of those that are its own."""
        check = self.regressions
        if check is None or all(finding.budget.former is None for finding in found):
            return list(found)
        so_far = self._so_far(item, measurement, ())
        seconds = measurement.seconds("call") if not failed and phase != "teardown" else None
        new: dict[Finding, Finding | None] = {}
        for finding in found:
            if finding.budget.former is not None:
                mine = replace(finding, sites=self._relative(finding.sites))
                new[finding] = check.consider(item, mine, so_far, seconds)
        measurement.replace_findings(new)
        return [kept for finding in found if (kept := new.get(finding, finding)) is not None]

    def _fails(self, item: pytest.Item, finding: Finding) -> bool:
        return self.regressions is not None and self.regressions.fails(item.nodeid, finding)

    def _so_far(
        self, item: pytest.Item, measurement: Measurement, findings: Sequence[Finding]
    ) -> Outcome:
        """What has been measured of a test in the middle of it, as if it had passed."""
        readings = measurement.phase_readings()
        torn_down = any(reading.name == "teardown" for reading in readings)
        return Outcome(
            nodeid=item.nodeid,
            phases=readings,
            stages=self._stages(measurement),
            findings=tuple(findings),
            leak=self.leak,
            # what stays of imports counts whichever phase they were in
            imports=max(0, len(sys.modules) - self._modules) if torn_down else self._imports,
        )

    def _fail(
        self, item: pytest.Item, measurement: Measurement, fatal: Sequence[Finding]
    ) -> None:
        """Fail the test.

        Raises:
            BudgetExceeded: if a budget was exceeded.
            MemoryRegression: otherwise.
        """
        from pytest_memguard.report.failure import failure_text

        so_far = self._so_far(item, measurement, fatal)
        more = []
        for finding in fatal:
            if finding.budget.former is not None and self.regressions is not None:
                more += self.regressions.below(finding, so_far)
        text = failure_text(fatal, so_far.stages, so_far.phase("call"), more)
        if any(finding.rule == "over-budget" for finding in fatal):
            raise _Breach(text, fatal)
        from pytest_memguard.plugin.regressions import Regressed

        raise Regressed(text, fatal)

    def _explain(
        self,
        item: pytest.Item,
        measurement: Measurement,
        phase: PhaseName,
        finding: Finding,
        *,
        failed: bool,
    ) -> Finding:
        """Add the largest lines, or how to get them."""
        finding = replace(finding, sites=self._relative(finding.sites))
        if finding.sites or not leaves_question(finding):
            return finding
        no_heap = measurement.no_tracker or self.instruments.no_heap or memray_user(item)
        if self._settings.explain == "never":
            return replace(
                finding, advice="Allocation lines were not recorded: --mem-explain=never."
            )
        if no_heap:
            return replace(finding, advice=f"Allocation lines are not available: {no_heap}.")
        if self._settings.explain == "next":
            return replace(finding, advice=_NEXT if self._suspects.can_remember else _NO_CACHE)
        if failed or phase == "teardown":
            why = "in its teardown" if phase == "teardown" else "when it ends otherwise"
            return replace(finding, advice=f"A test is not run once more {why}.")
        return self._explain_by_rerun(item, measurement, phase, finding)

    def _explain_by_rerun(
        self,
        item: pytest.Item,
        measurement: Measurement,
        phase: PhaseName,
        finding: Finding,
    ) -> Finding:
        seconds = max(RERUN_SECONDS, 20 * measurement.seconds(phase))

        def again() -> Callable[[], Any]:
            self._again = Needs(track=True)
            self.current = None
            return self._answer_of_second_run

        value, problem = rerun(item, phase, again, seconds)
        if problem or not value:
            why = problem or "it did not get that far"
            return replace(
                finding,
                advice="Run once more in a forked child (--mem-explain=rerun), without an "
                f"answer: {why}.",
            )
        second = outcome_from_json(value)
        same = [f for f in second.findings if f.rule in BREACHES and f.budget == finding.budget]
        if not same:
            reading = second.phase(phase)
            peak = reading.peak(finding.budget.metric) if reading is not None else None
            measured = f": {format_size(peak.value)}" if peak is not None else ""
            limit = "budget" if finding.budget.former is None else "limit"
            return replace(
                finding,
                advice="Run once more in a forked child (--mem-explain=rerun), it stayed "
                f"within the {limit}{measured}; the breach did not reproduce.",
            )
        again_peak = same[0].peak
        reached = f", which peaked at {format_size(again_peak.value)}" if again_peak else ""
        return replace(
            finding,
            sites=self._relative(same[0].sites),
            advice="The lines are those of a second run in a forked child "
            f"(--mem-explain=rerun){reached}.",
        )

    def _answer_of_second_run(self) -> Any:
        self.instruments.folder.close()
        look = self.current
        if look is None:
            return None
        return outcome_to_json(
            Outcome(
                nodeid="",
                phases=look.phase_readings(),
                findings=tuple(look.detail_now().findings),
            )
        )

    def measure_again(self, item: pytest.Item) -> Any:
        """In a forked child: run a test with everything it needs, and tell what it used."""
        self._again = Needs(record=True)
        self.current = None
        reports = runtestprotocol(item, log=False, nextitem=None)
        look: Look | None = getattr(self, "current", None)  # set by the hooks
        self.instruments.folder.close()
        if look is None:
            return None
        return outcome_to_json(
            Outcome(
                nodeid=item.nodeid,
                result="passed" if all(report.passed for report in reports) else "failed",
                phases=look.phase_readings(),
                stages=self._stages(look.detail) if look.detail is not None else (),
                imports=self._imports,
            )
        )

    @property
    def measures_again(self) -> bool:
        """Whether this is a child in which a test is run once more."""
        return self._again is not None

    def _relative(self, sites: tuple[CallSite, ...]) -> tuple[CallSite, ...]:
        return tuple(replace(site, file=site.file.removeprefix(self._root)) for site in sites)

    def _stages(self, measurement: Measurement) -> tuple[Any, ...]:
        return tuple(
            replace(stage, lines=self._relative(stage.lines))
            for stage in measurement.stage_readings()
        )

    # The reports

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Put peaks into reports; after teardown, hand the outcome on."""
        look = self.current
        if look is None or self._again is not None:
            return (yield from self._report_of_leak(item, call))
        when = call.when
        if when == "teardown":
            self._set_properties(item, look)
        report = yield
        self._reports[when] = report
        if look.detail is None and not self._keeps_all and self.leak is None:
            if when == "teardown":
                self._hand_on_if_noted(item, look, report)
            return report
        if report.failed:
            point_at_test(item, call, report)
        if when == "call":
            self._complete_call_report(report, look)
        elif when == "teardown":
            self._hand_on(item, look, report)
        return report

    def _report_of_leak(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """The report of a test without a budget; it may have been checked for leaks."""
        report = yield
        if self._again is not None or not (self.leak or item.nodeid in self.leak_skipped):
            return report
        self._reports[call.when] = report
        if report.failed:
            point_at_test(item, call, report)
        if call.when == "teardown":
            self._hand_on(item, None, report)
        return report

    def _set_properties(self, item: pytest.Item, look: Look) -> None:
        properties = item.user_properties
        if properties:  # a rerun replaces what the run before said
            properties[:] = [p for p in properties if p[0] not in _PROPERTIES]
        plan = look.plan
        if plan is None and not self._keeps_all and look.detail is None:
            return  # it was looked at in case it had stages, and it had none
        peak, growth = look.peak_and_growth()
        properties.append((_PROPERTIES[0], peak))
        properties.append((_PROPERTIES[1], growth))
        if plan is not None and plan.main_limit is not None:
            properties.append((_PROPERTIES[2], plan.main_limit))

    def _complete_call_report(self, report: pytest.TestReport, look: Look) -> None:
        if self._settings.mem:
            report.memguard_peak = look.peak_and_growth()[0]  # type: ignore[attr-defined]
        detail = look.detail
        if report.failed and detail is not None and detail.stages.sums and not detail.breached:
            from pytest_memguard.report.failure import stage_lines
            from pytest_memguard.report.table import stage_table

            stages = self._stages(detail)
            call = next((p for p in detail.phase_readings() if p.name == "call"), None)
            parts = [stage_table(stages, call), *stage_lines(stages)]
            report.sections.append(("Memory stages", "\n\n".join(parts)))

    def _hand_on_if_noted(
        self, item: pytest.Item, look: Look, report: pytest.TestReport
    ) -> None:
        """Hand on what almost never has anything to say: a test without a finding."""
        plan = look.plan
        if (
            item.nodeid in self._suspects
            or item.nodeid in self.leak_skipped
            or (plan is not None and look.rise("setup") > plan.call_only_limit)
        ):
            self._hand_on(item, look, report)
        else:
            self.current = None

    def _hand_on(self, item: pytest.Item, look: Look | None, report: pytest.TestReport) -> None:
        self.current = None
        result = combined_result({w: result_of(r) for w, r in self._reports.items()})
        findings, notes = self._last_words(look, result) if look is not None else ((), ())
        leak, skipped = self.leak, self.leak_skipped.get(item.nodeid, "")
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
            stages=self._stages(look.detail) if look and look.detail else (),
            budgets=look.plan.budgets if look and look.plan else (),
            findings=findings,
            notes=notes,
            overhead=look.overhead if look is not None else 0.0,
            leak=leak,
            leak_skipped=skipped,
            imports=self._imports,
        )
        if self.confirm is not None and self._settings.saves and not findings:
            outcome = self.confirm.exactly(outcome)
        if self._sink is not None and os.getpid() == self._process:
            self._sink(outcome)
        else:
            report.memguard = outcome_to_json(outcome)  # type: ignore[attr-defined]

    def _last_words(
        self, look: Look, result: str
    ) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
        plan, detail = look.plan, look.detail
        notes: tuple[str, ...] = ()
        findings: tuple[Finding, ...] = ()
        if plan is not None and look.rise("setup") > plan.call_only_limit:
            notes = (uncovered_setup(plan.budgets, look.rise("setup")),)
        if detail is not None:
            notes += tuple(detail.notes)
            if detail.stages.unfinished:
                notes += ("a stage was entered and never left; it is not in the table",)
            # a test that failed or skipped may have stopped before its stages
            ran = result in {"passed", "xpassed"}
            findings = tuple(f for f in detail.findings if ran or f.rule != "stage-not-run")
        return findings, notes

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Tell the controller what could not be measured; remove what lies on disk."""
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            gaps = self.instruments.gaps
            output[GAPS] = [{"subject": gap.subject, "reason": gap.reason} for gap in gaps]
        if self.current is not None and self.current.detail is not None:
            self.current.detail.abandon()
        self.instruments.close()


def _forget_last_failure() -> None:
    """Let go of what the test that failed last still holds.

    pytest does so a moment later, before it calls the test; what is freed then would hide as
    much of this test's peak.
    """
    for name in ("last_type", "last_value", "last_traceback", "last_exc"):
        with contextlib.suppress(AttributeError):
            delattr(sys, name)


def point_at_test(
    item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport
) -> None:
    """Let a breach be one line in summary and JUnit, at the test's own line.

    Its tables are in the failure itself; pytest shortens the summary to the width of a
    terminal, but prints all of it in CI. Without this, ``--tb=line`` names our own file.
    """
    crash = getattr(report.longrepr, "reprcrash", None)
    ours = (BudgetExceeded, LeakDetected, MemoryRegression)
    if crash is not None and call.excinfo and isinstance(call.excinfo.value, ours):
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


def memray_user(item: pytest.Item) -> str:
    """Why memray must not be started around a test that did not ask for it, or nothing.

    memray allows one tracker at a time, so ours would make a test fail that starts one.
    """
    if item.config.getoption("memray", default=False):
        return "pytest-memray is measuring this run (--memray)"
    for name in ("limit_memory", "limit_leaks"):
        if item.get_closest_marker(name) is not None:
            return f"pytest-memray measures this test (marker {name})"
    module = getattr(item, "module", None)
    function = getattr(item, "function", None)
    code = getattr(function, "__code__", None)
    if "memray" in getattr(module, "__dict__", {}) or (code and "memray" in code.co_names):
        return "the test uses memray itself"
    return ""
