"""Tests of the budget check: what it owns, what fails a test, and what only warns."""

from __future__ import annotations

import pytest

from pytest_memguard.checks.budget.check import BudgetCheck
from pytest_memguard.model.baselines import BaselineValue
from pytest_memguard.model.measurements import Budget, Finding
from pytest_memguard.options.rules import DEFAULT
from pytest_memguard.options.settings import resolve

BUDGET = Budget(limit=5, where="the marker")


def check(**settings) -> BudgetCheck:
    """The check of a run with these settings."""
    written = {name: (text, f"--mem-{name}") for name, text in settings.items()}
    return BudgetCheck(resolve(written))


@pytest.mark.parametrize(
    ("rule", "mode", "expected"),
    [
        pytest.param("over-budget", "fail", (True, False), id="breach"),
        pytest.param("over-budget", "warn", (True, True), id="breach-that-warns"),
        pytest.param("near-budget", "fail", (False, True), id="near"),
        pytest.param("near-budget", "warn", (False, True), id="near-in-a-run-that-warns"),
        pytest.param("undecided", "fail", (False, False), id="undecided"),
        pytest.param("not-measured", "warn", (False, False), id="not-measured"),
    ],
)
def test_what_becomes_of_a_finding(rule, mode, expected) -> None:
    """A breach fails its test unless breaches only warn; coming close warns."""
    made = check(mode=mode)
    finding = Finding(rule=rule, budget=BUDGET)
    assert made.owns(finding)
    assert expected == (made.is_breach("test", finding), made.warns(finding))
    assert made.only_warns == (mode == "warn")


def test_what_it_does_not_own() -> None:
    """Findings about the baseline and those of other plugins do not belong to the check."""
    stored = BaselineValue(before=5, rule=DEFAULT)
    compared = Budget(limit=5, where="baseline", baseline_value=stored)
    others = [
        Finding(rule="regression", budget=compared),
        Finding(rule="undecided", budget=compared),
        Finding(rule="new-test", budget=BUDGET),
        Finding(rule="check-failed", budget=BUDGET, check="descriptors"),
        Finding(rule="not-measured", budget=BUDGET, check="descriptors"),
    ]
    assert [other for other in others if check().owns(other)] == []


def test_the_default_plan() -> None:
    """A default budget is the plan of tests without markers; a budget of zero is none."""
    assert [budget.limit for budget in check(budget="5").default_plan() or ()] == [5 * 1024**2]
    assert check().default_plan() is None
    assert check(budget="0").default_plan() is None
