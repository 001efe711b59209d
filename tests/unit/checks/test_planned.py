"""Tests of the checks of a run: planned together, judged in order, each owns findings."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_memguard.checks.planned import Checks
from pytest_memguard.checks.protocol import TestCheck
from pytest_memguard.errors import BudgetExceeded, CheckFailed
from pytest_memguard.measure.requirements import Requirements
from pytest_memguard.model.measurements import Budget, Finding


def limit(size: int) -> Budget:
    """A limit on the call's peak."""
    return Budget(limit=size, where="a check")


class OneLimit(TestCheck):
    """Sets one limit for every test, and finds that it was exceeded."""

    error = BudgetExceeded

    def __init__(self, name: str, size: int | None) -> None:
        """A check with a limit of some bytes, or with none."""
        self.name = name
        self.plans = 0
        self.limits: list[Any] = []
        self._size = size

    def plan(self, test, limits, problems) -> Budget | None:
        """The limit; a problem with every test that is called bad."""
        self.plans += 1
        self.limits = list(limits())
        if test.nodeid == "bad":
            problems.append(f"{self.name}: bad")
        return None if self._size is None else limit(self._size)

    def default_plan(self) -> Budget | None:
        """The limit."""
        return None if self._size is None else limit(self._size)

    def requirements(self, plan) -> Requirements:
        """That the limit can be judged."""
        return Requirements(limits=[plan])

    def judge(self, plan, measured, phase) -> list[Finding]:
        """One finding, if there is a limit."""
        del measured, phase
        return (
            [] if plan is None else [Finding(rule="over-budget", budget=plan, text=self.name)]
        )

    def owns(self, finding) -> bool:
        """Whether the finding has its name."""
        return bool(finding.text == self.name)

    def is_breach(self, nodeid, finding) -> bool:
        """Always."""
        del nodeid, finding
        return True


class Unmeasured(OneLimit):
    """Plans tests, and does not have them measured."""

    measures = False


class Rerunless(OneLimit):
    """Judges no test that is run once more."""

    error = CheckFailed
    judges_reruns = False


class Test:
    """As much of a test as these checks read."""

    __test__ = False

    def __init__(self, nodeid: str = "good") -> None:
        """A test of that name."""
        self.nodeid = nodeid


def begun(*checks: TestCheck) -> Checks:
    """These checks, made."""
    made = Checks(lambda _: checks)
    made.begin(set())
    return made


def plan_of(checks: Checks, nodeid: str = "good", **options: Any) -> Any:
    """The plan of a test of that name."""
    test: Any = Test(nodeid)
    return checks.plan(test, **options)


def test_requirements_are_united() -> None:
    """A test is measured for all checks that concern it, in their order."""
    checks = begun(OneLimit("a", 5), OneLimit("b", None), OneLimit("c", 3))
    plan = plan_of(checks)
    assert [one.limit for one in plan.requirements.limits] == [5, 3]
    assert set(plan.by_check) == {"a", "c"}


def test_alike_tests_share_a_plan() -> None:
    """Tests with the same plans have one plan, and it is the default if that is the same."""
    checks = begun(OneLimit("a", 5))
    assert plan_of(checks) is plan_of(checks, "another")
    assert plan_of(checks) is checks.default_plan()


def test_no_check_concerns_it() -> None:
    """A test that no check has measured has no plan."""
    assert plan_of(begun(OneLimit("a", None), Unmeasured("b", 5))) is None


def test_limits_of_the_checks_before() -> None:
    """A check can see what limits those before it set, and none of those behind."""
    first, second, third = OneLimit("a", 5), OneLimit("b", 3), OneLimit("c", 1)
    plan_of(begun(first, second, third))
    assert [[one.limit for one in check.limits] for check in (first, second, third)] == [
        [],
        [5],
        [5, 3],
    ]


def test_planned_again() -> None:
    """Checks that measure plan a test again if its markers change; others do so once."""
    measured, unmeasured = OneLimit("a", 5), Unmeasured("b", 5)
    checks = begun(measured, unmeasured)
    plan_of(checks)
    plan_of(checks, again=True)
    assert (measured.plans, unmeasured.plans) == (2, 1)


def test_problems_come_check_by_check() -> None:
    """Problems are returned once, those of the first check first."""
    checks = begun(OneLimit("a", 5), Unmeasured("b", 5))
    plan_of(checks, "bad")
    plan_of(checks, "bad")
    assert checks.take_problems() == ["a: bad", "a: bad", "b: bad", "b: bad"]
    assert checks.take_problems() == []


@pytest.mark.parametrize(
    ("again", "expected"),
    [
        pytest.param(False, ["a", "b"], id="first-run"),
        pytest.param(True, ["a"], id="run-once-more"),
    ],
)
def test_judged_in_order(again, expected) -> None:
    """All checks judge, but for those that leave a second run alone."""
    checks = begun(OneLimit("a", 5), Rerunless("b", 3))
    measured: Any = None
    found = checks.judge(plan_of(checks), measured, "call", again=again)
    assert expected == [finding.text for finding in found]


def test_owners() -> None:
    """Findings are sorted by the checks that own them; one of no check has no owner."""
    first, second = OneLimit("a", 5), OneLimit("b", 3)
    checks = begun(first, second)
    measured: Any = None
    found = checks.judge(plan_of(checks), measured, "call", again=False)
    assert checks.by_owner(found[::-1]) == [(first, found[0]), (second, found[1])]
    assert checks.owner(found[1]) is second
