"""The leak check: a test is repeated, and fails if it keeps more with every call."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_memguard.checks.leak.plan import LeakPlan, LeakPlanner
from pytest_memguard.checks.leak.verdicts import LeakVerdicts
from pytest_memguard.checks.protocol import MarkedTest, TestCheck
from pytest_memguard.errors import ConfigError, LeakDetected
from pytest_memguard.options.settings import Settings

if TYPE_CHECKING:
    from typing import Any

    from pytest_memguard.checks.protocol import Limits
    from pytest_memguard.model.measurements import Finding
    from pytest_memguard.model.results import Outcome
    from pytest_memguard.storage.known_leaks import KnownLeaksFile


class LeakTestCheck(TestCheck):
    """Finds the tests to repeat, and says what becomes of what their repetitions show.

    The hooks that repeat tests read `plans`; nothing is measured in the test's own run.

    Args:
        settings: the settings of the run.
        known: the file of leaks that were accepted before.
        root: what paths are shown relative to, with a separator at its end.
        functions_alone: whether tests check functions at most, by the fixture.

    Attributes:
        plans: of the tests to check or to leave out, by node id.
        known: the file of leaks that were accepted before.
        verdicts: decides about readings.
    """

    name = "leak"
    error = LeakDetected
    measures = False

    def __init__(
        self, settings: Settings, known: KnownLeaksFile, root: str, *, functions_alone: bool
    ) -> None:
        self.plans: dict[str, LeakPlan] = {}
        self.known = known
        self.verdicts = LeakVerdicts(settings, root)
        self._planner = LeakPlanner(settings)
        self._functions_alone = functions_alone

    def plan(
        self,
        test: MarkedTest,
        limits: Limits,
        problems: list[str],
    ) -> Any:
        """Note how a test is checked, if it is; it need not be measured for that."""
        if self._functions_alone:
            return
        plan = self._planner.plan(test, problems)
        if plan is not None:
            self.plans[test.nodeid] = plan

    def planned(self, problems: list[str]) -> None:
        """Read the leaks that were accepted before, if any test is checked."""
        if self.plans:
            try:
                self.known.leaks()
            except ConfigError as error:
                problems += error.problems
        elif self._functions_alone:
            problems += self.known.problems()

    def reports(self, nodeid: str) -> bool:
        """Whether a test is left out of the check, which its result says."""
        plan = self.plans.get(nodeid)
        return plan is not None and bool(plan.skipped)

    def complete(self, outcome: Outcome, plan: Any) -> Outcome:
        """Add why the test was left out, if so."""
        own = self.plans.get(outcome.nodeid)
        if own is None or not own.skipped:
            return outcome
        return replace(outcome, leak_skipped=own.skipped)

    def completes_others(self) -> bool:
        """No test that was not left out, which is reported."""
        return False

    def owns(self, finding: Finding) -> bool:
        """No finding: what repetitions show is a reading of its own."""
        return False

    def is_breach(self, nodeid: str, finding: Finding) -> bool:
        """No finding fails a test in the name of this check."""
        return False
