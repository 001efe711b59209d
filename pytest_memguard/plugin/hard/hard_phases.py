"""The hooks that hold each phase of a test to hard budgets: the innermost around it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Final

import pytest

from pytest_memguard.errors import BudgetExceeded
from pytest_memguard.judge.hard_limit import cause_not_known, hard_limit, not_held
from pytest_memguard.measure.hard_limit import HardLimits
from pytest_memguard.measure.hard_stops import Doubt, Stopped
from pytest_memguard.model.measurements import PhaseName
from pytest_memguard.model.results import Gap
from pytest_memguard.plugin.failures import printed
from pytest_memguard.plugin.pytest_internals.items import failure_of, forget_failure

if TYPE_CHECKING:
    from pytest_memguard.plugin.measured_tests import MeasuredTests

HARD: Final = "hard budgets"
_KEPT: Final = (
    KeyboardInterrupt,
    SystemExit,
    GeneratorExit,
    pytest.exit.Exception,
    pytest.xfail.Exception,
)
"""What ends a phase, or says what becomes of a test, whatever a budget says."""
_LOWER: Final = (
    "this process has a limit on data (RLIMIT_DATA) that is lower than some of them: a "
    "MemoryError below a budget is no breach of it"
)


class HeldPhases:
    """Holds the phases of tests, and has stops judged.

    Where a test is stopped, its phase ends as if it had passed, and the check of budgets, which
    is asked next, makes it fail.

    Args:
        tests: begins to measure them.
        limits: hold the process.
        gaps: what cannot be measured here.
        register: registers more hooks, once they are needed.
        all_hard: whether stages may have hard budgets that no plan knows.
    """

    def __init__(
        self,
        tests: MeasuredTests,
        limits: HardLimits,
        gaps: list[Gap],
        register: Callable[[object, str], object],
        *,
        all_hard: bool,
    ) -> None:
        self.limits = limits
        self._gaps = gaps
        self._tests = tests
        self._state = tests.state
        self._register = register
        self._all_hard = all_hard
        self._has_reported_lower = self._has_net = False
        self._stopped: Stopped | None = None

    def begin(self, item: pytest.Item, phase: PhaseName) -> bool:
        """Hold a phase to its hard budgets; return whether it may have any."""
        plan = self._tests.plan_of(item) if phase == "setup" else self._state.plan
        budgets = plan.requirements.hard if plan is not None else ()
        if self._tests.paused or not (budgets or self._all_hard):
            return False
        limits = self.limits
        limits.begin(budgets, phase, item)
        if limits.held.is_lower and not self._has_reported_lower:
            self._has_reported_lower = True
            self._gaps.append(Gap(subject=HARD, reason=_LOWER))
        return True

    def end(self, item: pytest.Item) -> None:
        """Find out whether a phase that has raised nothing was stopped nevertheless."""
        failure = failure_of(item)  # a unittest raises none
        end = self.limits.end(failure)
        if end is not None and self._takes(end, failure) and failure is not None:
            forget_failure(item)

    def takes(self, error: BaseException) -> bool:
        """Whether a test that has raised something fails with its hard budget instead."""
        if isinstance(error, _KEPT):
            self.limits.end(None)
            return False
        end = self.limits.end(error)
        return end is not None and self._takes(end, error)

    def _takes(self, end: Stopped | Doubt, error: BaseException | None) -> bool:
        """Have what was found at the end of a phase judged; whether the test fails with that.

        A test that fails with something else, after it has caught a MemoryError, does so.
        """
        measurement = self._tests.measured()
        if measurement is None:
            return False
        measurement.detail_now()
        if isinstance(end, Doubt):
            words = cause_not_known if end.why == "cause-not-known" else not_held
            self._state.notes.append(words(end.budget))
            return False
        self._state.stopped = end
        skips = isinstance(error, pytest.skip.Exception)
        if end.stop.caught and error is not None and not skips:
            return False
        if not self._has_net:
            self._has_net = True
            self._register(UnjudgedHooks(self), "memguard-hard-unjudged")
        self._stopped = end
        return True

    def take_unjudged(self) -> AssertionError | None:
        """What a test fails with that was stopped, if no check has made it fail."""
        stopped, self._stopped = self._stopped, None
        if stopped is None or stopped.is_judged:
            return None
        finding = hard_limit(stopped.budget, stopped.stop, None)
        text = f"{finding.text} ({finding.rule})"
        return stopped.shown_by(printed(BudgetExceeded)(text, [finding]))


class HardCallHooks:
    """Around calls.

    Args:
        phases: holds them.
    """

    def __init__(self, phases: HeldPhases) -> None:
        self._phases = phases

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Hold the call to the test's hard budgets."""
        return (yield from _held(self._phases, item, "call"))


class HardFixtureHooks:
    """Around setup and teardown.

    Args:
        phases: holds them.
    """

    def __init__(self, phases: HeldPhases) -> None:
        self._phases = phases

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        """Hold setup to the test's hard budgets."""
        return (yield from _held(self._phases, item, "setup"))

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        """Hold teardown to the test's hard budgets."""
        return (yield from _held(self._phases, item, "teardown"))


def _held(
    phases: HeldPhases, item: pytest.Item, phase: PhaseName
) -> Generator[None, object, object]:
    if not phases.begin(item, phase):
        return (yield)
    try:
        result = yield
        phases.limits.held.lift()
    except BaseException as error:
        if phases.takes(error):
            return None
        raise
    phases.end(item)
    return result


class HardPartHooks:
    """Around reports on parts of a test, which are made while it runs.

    Args:
        limits: hold the test.
    """

    def __init__(self, limits: HardLimits) -> None:
        self._limits = limits

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Let them have their memory, and note what a part has failed with."""
        limits = self._limits
        if call.excinfo is not None:
            limits.hits.note_error(call.excinfo.value)
        limits.held.pause()
        try:
            return (yield)
        finally:
            limits.held.go_on()


class UnjudgedHooks:
    """Sees to it that a test fails which was stopped, whatever the checks do about it.

    Args:
        phases: holds them.
    """

    def __init__(self, phases: HeldPhases) -> None:
        self._phases = phases

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> None:
        """Let the phase have failed."""
        failure = self._phases.take_unjudged()
        if failure is not None and call.excinfo is None:
            call.excinfo = pytest.ExceptionInfo.from_exception(failure)
