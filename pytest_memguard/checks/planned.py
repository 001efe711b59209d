"""All checks of a run: they plan a test together, judge it, and own what was found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from operator import is_
from typing import TYPE_CHECKING, Any

from pytest_memguard.checks.protocol import TestCheck
from pytest_memguard.measure.requirements import Requirements
from pytest_memguard.values import dataclass

if TYPE_CHECKING:
    from pytest_memguard.checks.protocol import MarkedTest, Measured, PlacedMarker
    from pytest_memguard.model.leaks import LeakReading
    from pytest_memguard.model.measurements import Budget, Finding, PhaseName
    from pytest_memguard.model.results import Gap, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class TestPlan:
    """What the checks have planned for one test, or for many alike."""

    __test__ = False  # no test, though its name begins like one

    by_check: Mapping[str, Any]
    """What each of them needs to judge it, by the check's name; others do not concern it."""
    requirements: Requirements
    """What has to be measured for all of them."""
    is_shared: bool
    """Whether many tests may have this plan."""


class Checks:
    """The checks of a run, in the order in which they judge.

    Args:
        make: makes those that may concern a suite, given which of our markers and fixtures it
            uses.

    Attributes:
        may_fail_calls: whether `after_call` has to be asked about each test.
    """

    def __init__(self, make: Callable[[AbstractSet[str]], Sequence[TestCheck]]) -> None:
        self._make_checks = make
        self._checks: tuple[TestCheck, ...] = ()
        self._measuring: tuple[TestCheck, ...] = ()
        self._plans: dict[tuple[Any, ...], TestPlan | None] = {}
        self._last: tuple[list[Any], TestPlan | None] = [], None
        self._problems: dict[TestCheck, list[str]] = {}
        self._completes_others = True
        self._reporting: tuple[TestCheck, ...] = ()
        self._noting: tuple[TestCheck, ...] = ()
        self._failing: tuple[TestCheck, ...] = ()
        self.may_fail_calls = False

    def begin(self, names: AbstractSet[str]) -> None:
        """Make the checks, once the tests are known.

        Args:
            names: our markers and fixtures that the suite uses.
        """
        self._checks = tuple(self._make_checks(names))
        self._measuring = tuple(check for check in self._checks if check.measures)
        self._problems = {check: [] for check in self._checks}
        self._completes_others = any(check.completes_others() for check in self._checks)
        # what is asked of each test is asked of those checks alone that have an answer
        self._reporting = self._with_their_own("reports")
        self._noting = self._with_their_own("notes")
        self._failing = self._with_their_own("after_call")
        self.may_fail_calls = bool(self._failing)

    def _with_their_own(self, method: str) -> tuple[TestCheck, ...]:
        """The checks that have a method of their own in the place of one that says nothing."""
        nothing = getattr(TestCheck, method)
        return tuple(c for c in self._checks if getattr(type(c), method) is not nothing)

    def plan(self, test: MarkedTest, *, again: bool = False) -> TestPlan | None:
        """The plan of a test; ``None`` if no check has it measured.

        Args:
            test: with its markers.
            again: whether it was planned before, and has other markers now.
        """
        if not again:
            for check in self._checks:
                if not check.measures:
                    check.plan(test, list, self._problems[check])
        plans: list[Any] = []

        def limits() -> list[Budget]:
            before = zip(self._measuring, plans, strict=False)
            return [
                limit
                for check, plan in before
                if plan is not None
                for limit in check.requirements(plan).limits
            ]

        for check in self._measuring:  # each may ask for the limits of those before it
            plans += [check.plan(test, limits, self._problems[check])]
        return self._united(plans)

    def planned(self) -> None:
        """Make ready, once all tests have been planned."""
        for check in self._checks:
            check.planned(self._problems[check])

    def take_problems(self) -> list[str]:
        """Lines for all that is wrong with markers of tests planned since the last call."""
        found = [line for problems in self._problems.values() for line in problems]
        for problems in self._problems.values():
            problems.clear()
        return found

    def default_plan(self) -> TestPlan | None:
        """The plan of a test without markers that no pattern names."""
        return self._united([check.default_plan() for check in self._measuring])

    def _united(self, plans: list[Any]) -> TestPlan | None:
        """What the plans of all checks require; the same for tests with the same plans."""
        last, united = self._last
        if len(last) == len(plans) and all(map(is_, last, plans)):  # most are like the last
            return united
        key = tuple(plans)
        if key not in self._plans:
            self._plans[key] = self._make(plans)
        self._last = plans, self._plans[key]
        return self._plans[key]

    def _make(self, plans: Sequence[Any]) -> TestPlan | None:
        concerned = [
            (check, plan)
            for check, plan in zip(self._measuring, plans, strict=True)
            if plan is not None
        ]
        if not concerned:
            return None
        requirements = Requirements()
        for check, plan in concerned:
            requirements |= check.requirements(plan)
        return TestPlan(
            by_check={check.name: plan for check, plan in concerned},
            requirements=requirements,
            is_shared=all(check.shares_plans for check, _ in concerned),
        )

    def judge(
        self, plan: TestPlan | None, measured: Measured, phase: PhaseName, *, again: bool
    ) -> list[Finding]:
        """What the checks have to say about a test when a phase has ended.

        Args:
            plan: the plan of the test.
            measured: what is known of the test.
            phase: what has ended.
            again: whether the test is run once more in a child.
        """
        return [
            finding
            for check in self._checks
            if check.judges_reruns or not again
            for finding in check.judge(_of(check, plan), measured, phase)
        ]

    def judge_leak(self, plan: TestPlan | None, reading: LeakReading) -> list[Finding]:
        """What the checks have to say about the reading of a leak check."""
        return [
            finding
            for check in self._checks
            for finding in check.judge_leak(_of(check, plan), reading)
        ]

    def after_call(self, test: MarkedTest) -> tuple[TestCheck, Finding] | None:
        """What a test fails with though nothing that was measured has anything against it."""
        for check in self._failing:
            finding = check.after_call(test)
            if finding is not None:
                return check, finding
        return None

    def too_late(
        self, test: MarkedTest, markers: Sequence[PlacedMarker], reason: str
    ) -> list[Finding]:
        """A finding for each marker that a test has added when it was too late."""
        return [
            finding
            for check in self._checks
            for finding in check.too_late(test, markers, reason, self._problems[check])
        ]

    def by_owner(self, found: Sequence[Finding]) -> list[tuple[TestCheck, Finding]]:
        """Findings with the checks that own them, in the order of the checks."""
        return [
            (check, finding)
            for check in self._checks
            for finding in found
            if check.owns(finding)
        ]

    def owner(self, finding: Finding) -> TestCheck:
        """The check that owns a finding."""
        return next(check for check in self._checks if check.owns(finding))

    def notes(self, plan: TestPlan | None, uncovered_setup: int | None) -> list[str]:
        """What else the report should say about a test; arguments as a check takes them."""
        if plan is None:
            return []
        return [
            note
            for check in self._noting
            for note in check.notes(_of(check, plan), uncovered_setup)
        ]

    def reports(self, nodeid: str) -> bool:
        """Whether a test's result says more than what was measured, whatever that was."""
        # no generator: each test is asked, and in most runs of no check
        return bool(self._reporting) and any(c.reports(nodeid) for c in self._reporting)

    def adds_nothing(self, nodeid: str) -> bool:
        """Whether the result of a test without a plan is what was measured, and no more."""
        return not (self._completes_others or self.reports(nodeid))

    def complete(self, outcome: Outcome, plan: TestPlan | None) -> Outcome:
        """Add what the checks alone know to the result of a test."""
        for check in self._checks:
            outcome = check.complete(outcome, _of(check, plan))
        return outcome

    def find(self, name: str) -> TestCheck | None:
        """The check of a name, if it is one of them."""
        return next((check for check in self._checks if check.name == name), None)

    def have_unused(self) -> bool:
        """Whether settings of checks name something that no test that was planned has."""
        return any(check.has_unused() for check in self._checks)

    def unused(self) -> list[Gap]:
        """What settings of checks name though no test that was planned has it."""
        return [gap for check in self._checks for gap in check.unused()]


def _of(check: TestCheck, plan: TestPlan | None) -> Any:
    return plan.by_check.get(check.name) if plan is not None else None
