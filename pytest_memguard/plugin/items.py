"""One test: begin and end its phases, and act on what was found in them."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Container, Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from _pytest.runner import runtestprotocol  # no public name does this

from pytest_memguard.model import Budget, Finding, MetricName, Outcome, PhaseName, PhaseReading
from pytest_memguard.plugin.explain import Suspects
from pytest_memguard.plugin.explainer import Explainer
from pytest_memguard.plugin.found import Found
from pytest_memguard.plugin.look import Look
from pytest_memguard.plugin.memray_user import memray_user
from pytest_memguard.plugin.needs import Demands, Needs
from pytest_memguard.plugin.options import GAPS
from pytest_memguard.plugin.outcomes import OutcomeHooks
from pytest_memguard.plugin.plans import Plan, Planner
from pytest_memguard.plugin.running import Ended, Running
from pytest_memguard.recording.instruments import Instruments
from pytest_memguard.settings import Settings

if TYPE_CHECKING:
    from pytest_memguard.leaks import LeakReading
    from pytest_memguard.plugin.measuring import Measurement
    from pytest_memguard.plugin.regressions import RegressionCheck

_PROPERTIES: Final = (
    "memguard_peak_bytes",
    "memguard_delta_bytes",
    "memguard_budget_bytes",
)
_OTHER_PEAKS: Final[Mapping[MetricName, str]] = {
    "heap": "memguard_heap_peak_bytes",
    "python": "memguard_python_peak_bytes",
}


class ItemHooks:
    """The hooks around a test, in every process that runs tests.

    Args:
        settings: the run's.
        instruments: the process's.
        suspects: the tests to track from the start.
        sink: takes an outcome; ``None`` in a worker, whose outcomes travel on reports.
        root: what paths are shown relative to.
        worker: xdist's name for this process.
        register: registers the hooks that make outcomes, once they are needed.

    Attributes:
        plans: of tests with other budgets than the default, by node id.
        reports: makes outcomes.
        paused: whether a test is being repeated, and not measured.
    """

    def __init__(
        self,
        settings: Settings,
        instruments: Instruments,
        suspects: Suspects,
        sink: Callable[[Outcome], None] | None,
        root: Path,
        worker: str,
        register: Callable[[OutcomeHooks], object],
    ) -> None:
        self.plans: dict[str, Plan | None] = {}
        self.default_plan: Plan | None = None
        self.planner: Planner | None = None
        self.instruments = instruments
        self.paused = False
        self._running = running = Running(f"{root}/")
        self.reports = OutcomeHooks(settings, suspects, running, sink, worker, register)
        explainer = Explainer(settings, instruments, suspects, running, self._run_again)
        self._found = Found(settings, running, explainer)
        self._drills = settings.drill
        self._keeps_all = settings.measures_all
        self._marks = 0
        self._needs = Needs(
            drill=settings.drill,
            record=settings.saves or settings.compares,
            warn=settings.warn,
        )
        self._demands = Demands(None, self._needs, bounds=self._keeps_all)
        self._suspects: Container[str] = ()
        if settings.explain == "next" and suspects:
            self._suspects = suspects
        self._torn_early: list[Finding] | None = None
        if self._keeps_all or suspects:
            self.reports.activate()

    @property
    def current(self) -> Look | None:
        """What measures the test that runs."""
        return self._running.look

    @property
    def leak(self) -> LeakReading | None:
        """What the leak check said of the test that runs."""
        return self._running.leak

    @leak.setter
    def leak(self, reading: LeakReading) -> None:
        self._running.leak = reading
        self.reports.activate()

    @property
    def regressions(self) -> RegressionCheck | None:
        """Decides about limits that the baseline sets."""
        return self._found.regressions

    @regressions.setter
    def regressions(self, check: RegressionCheck) -> None:
        self._found.regressions = check

    @property
    def measures_again(self) -> bool:
        """Whether this is a child in which a test is run once more."""
        return self._running.again

    # The phases

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        """Measure setup."""
        if self.paused:
            return (yield)
        look = self._look_at(item)
        if look is None:
            return (yield)
        look.begin_setup()
        try:
            result = yield
        except BaseException:
            self._after_setup(item, look, look.end_setup(), failed=True)
            raise
        found = look.end_setup()
        if found or look.setup_was_too_much:
            self._after_setup(item, look, found)
        return result

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Measure the call."""
        running = self._running
        look = running.look
        if look is None or self.paused:
            return (yield)
        if len(item.own_markers) != self._marks:
            self._plan_again(item, look)
        if hasattr(sys, "last_value"):
            _forget_last_failure()
        look.begin_call()
        modules = len(sys.modules)  # ours are there by now
        try:
            result = yield
        except BaseException:
            running.imports = len(sys.modules) - modules
            self._act(item, look, "call", look.end_call(), failed=True)
            raise
        running.imports = max(0, len(sys.modules) - modules)
        found = look.end_call()
        if found:
            self._act(item, look, "call", found)
        check = self._found.regressions
        if check is not None and not running.again:
            check.refuse_new(item)
        return result

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        """Measure teardown."""
        look = self._running.look
        if look is None or self.paused or not look.begun:
            return (yield)
        if nextitem is None or nextitem.parent is not item.parent:
            self.instruments.wider_fixtures_went()
        if self._torn_early is not None:
            result = yield
            self._act(item, look, "teardown", self._torn_early)
            return result
        look.begin_teardown()
        try:
            result = yield
        except BaseException:
            self._act(item, look, "teardown", self._end_teardown(item, look), failed=True)
            raise
        found = self._end_teardown(item, look)
        if found:
            self._act(item, look, "teardown", found)
        return result

    def _look_at(self, item: pytest.Item) -> Look | None:
        """What is going to measure a test that begins; nothing if nobody asks for it."""
        running, nodeid = self._running, item.nodeid
        running.leak = self._torn_early = None
        running.look = None
        if self.reports.active:
            self.reports.forget()
        plan = self.plans.get(nodeid, self.default_plan)
        asks = plan is not None or self._asks_of(item)
        if not asks and self.instruments.mark is None:
            self.instruments.base = 0
            return None  # no thread of ours around a test that did not ask
        demands = self._demands
        if plan is not demands.plan or nodeid in self._suspects:
            demands = self._demands_of(plan, nodeid)
        look = running.look = Look(demands, self.instruments, item, self._call_in)
        if not asks:
            look.wants_stages = False
        self._marks = len(item.own_markers)
        running.imports, running.modules = 0, len(sys.modules)
        return look

    def _asks_of(self, item: pytest.Item) -> bool:
        """Whether somebody wants to know of a test that has no budget."""
        fixtures = getattr(item, "fixturenames", ())
        return self._keeps_all or self._drills or "memguard" in fixtures

    def _demands_of(self, plan: Plan | None, nodeid: str) -> Demands:
        """What a test must be looked at for; kept for the next one, which may be alike."""
        if nodeid in self._suspects:
            needs = replace(self._needs, track=True)
            return Demands(plan, needs, bounds=self._keeps_all)
        if plan is not self._demands.plan:
            self._demands = Demands(plan, self._needs, bounds=self._keeps_all)
        return self._demands

    def _call_in(self, item: pytest.Item, demands: Demands) -> Measurement:
        """What measures a test for which a look is not enough; there will be more to tell."""
        from pytest_memguard.plugin.measuring import Measurement

        self.reports.activate()
        return Measurement(
            demands.plan, self.instruments, demands.needs, lambda: memray_user(item)
        )

    def _after_setup(
        self,
        item: pytest.Item,
        look: Look,
        found: list[Finding] | None,
        *,
        failed: bool = False,
    ) -> None:
        """Act on what was found in setup.

        Raises:
            BudgetExceeded: if a budget was exceeded and the test has not failed itself.
        """
        __tracebackhide__ = True
        if look.setup_was_too_much:
            self.reports.activate()
        self._act(item, look, "setup", found, failed=failed)

    def _end_teardown(self, item: pytest.Item, look: Look) -> list[Finding] | None:
        """Stop measuring the last phase, and judge what stays of the test."""
        found = look.end_teardown()
        plan = look.plan
        if plan is not None and plan.growth is not None:
            found = self._judge_growth(look, plan.growth, found)
        if not self._running.again:
            self._set_properties(item, look, plan)
        if not self.reports.active:
            self._running.look = None
        return found

    def _judge_growth(
        self, look: Look, limit: Budget, found: list[Finding] | None
    ) -> list[Finding] | None:
        """Hold what a test left behind against the baseline; everything found then."""
        if limit.former is None:
            return found
        from pytest_memguard.judge.former import judge_number

        _, growth = look.peak_and_growth()
        grown = judge_number(limit, limit.former, growth, "growth of resident memory")
        if grown is None:
            return found
        look.detail_now().findings.append(grown)
        return [*(found or ()), grown]

    def _set_properties(self, item: pytest.Item, look: Look, plan: Plan | None) -> None:
        """Tell other plugins what was measured."""
        properties, detail = item.user_properties, look.detail
        if properties:  # a rerun replaces what the run before said
            properties[:] = [p for p in properties if not _is_ours(p[0])]
        if plan is None and not self._keeps_all and detail is None:
            return  # it was looked at in case it had stages, and it had none
        peak, growth = look.peak_and_growth()
        properties += ((_PROPERTIES[0], peak), (_PROPERTIES[1], growth))
        if plan is not None and plan.main_limit is not None:
            properties.append((_PROPERTIES[2], plan.main_limit))
        if detail is not None:
            properties += _other_peaks(detail.phase_readings())

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
        if not found:
            return
        # unittest's own failures do not raise; pytest puts them in place afterwards
        failed = failed or bool(getattr(item, "_excinfo", None))
        self._found.act(Ended(item, look.detail_now(), phase, failed), found)

    def _plan_again(self, item: pytest.Item, look: Look) -> None:
        """Find the plan of a test whose markers changed during setup.

        Raises:
            pytest.fail.Exception: if one of them makes no sense.
        """
        planner, plan = self.planner, self.default_plan
        if planner is not None:
            plan = planner.plan(item)
            if planner.problems:
                problems, planner.problems = planner.problems, []
                raise pytest.fail.Exception("\n".join(problems), pytrace=False)
        look.plan_again(self._demands_of(plan, item.nodeid))
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
        look = self._running.look
        if look is None or not look.begun:
            tear_down()
            return
        look.begin_teardown()
        tear_down()
        self.reports.activate()
        self._torn_early = self._end_teardown(item, look) or []

    def repeated(self) -> None:
        """Forget what is no longer so after a test has been repeated."""
        self.instruments.base = 0

    # Tests that are run once more

    def _run_again(self) -> None:
        """In a forked child: make ready for a run under the exact tracker."""
        self._again(Needs(track=True))

    def _again(self, needs: Needs) -> None:
        self._needs, self._suspects = needs, ()
        self._demands = Demands(None, needs, bounds=self._keeps_all)
        self._running.again, self._running.look = True, None
        self.reports.activate()  # or the look would be gone at the end

    def measure_again(self, item: pytest.Item) -> Any:
        """In a forked child: run a test with everything it needs, and tell what it used."""
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


def _is_ours(name: str) -> bool:
    return name in _PROPERTIES or name in _OTHER_PEAKS.values()


def _other_peaks(phases: Sequence[PhaseReading]) -> list[tuple[str, int]]:
    """Properties with the call's peaks (or setup's, without a call) by other metrics."""
    by_name = {phase.name: phase for phase in phases}
    main = by_name.get("call", by_name.get("setup"))
    peaks = main.peaks if main is not None else ()
    return [
        (_OTHER_PEAKS[peak.metric], peak.value) for peak in peaks if peak.metric in _OTHER_PEAKS
    ]


def _forget_last_failure() -> None:
    """Let go of what the test that failed last still holds.

    pytest does so a moment later, before it calls the test; what is freed then would hide as
    much of this test's peak.
    """
    for name in ("last_type", "last_value", "last_traceback", "last_exc"):
        with contextlib.suppress(AttributeError):
            delattr(sys, name)
