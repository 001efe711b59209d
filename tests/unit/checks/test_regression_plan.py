"""Tests of the limits that the baseline sets: whose rules hold, and what they allow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from pytest_memguard.checks.budget.check import BudgetCheck
from pytest_memguard.checks.planned import Checks
from pytest_memguard.checks.regression.check import RegressionCheck
from pytest_memguard.checks.regression.plan import (
    SIGNATURE,
    RegressionPlanner,
    rules_from_mark,
)
from pytest_memguard.errors import ConfigError
from pytest_memguard.model.baselines import Baseline, BaselineEntry, EnvironmentKey, FailRule
from pytest_memguard.model.measurements import Budget
from pytest_memguard.options.rules import DEFAULT, parse_rule
from pytest_memguard.options.settings import Settings
from pytest_memguard.plugin.marked_items import MarkedItem
from pytest_memguard.sizes import MIB

RULE = pytest.mark.mem_regression
ENTRY = BaselineEntry(peak=100 * MIB, growth=0)


class Node:
    """As much of a test, or of what it is in, as the planner reads."""

    def __init__(self, name: str, marks: tuple[Any, ...], parent: Node | None = None) -> None:
        """A node under another one, with markers as they are applied: the closest last."""
        self.name = name
        self.nodeid = f"test_it.py::{name}"
        self.location = ("test_it.py", 6, name)
        self._marks = [decorator.mark for decorator in marks]
        self._parent = parent

    def iter_markers_with_node(self, name: str) -> Iterator[tuple[Node, pytest.Mark]]:
        """Every marker of that name, the closest first."""
        for mark in reversed(self._marks):
            if mark.name == name:
                yield self, mark
        if self._parent is not None:
            yield from self._parent.iter_markers_with_node(name)


def make_test(*marks: Any, above: tuple[Any, ...] = ()) -> Any:
    """A test with these markers in a class with those."""
    node: Any = Node("test_it", marks, Node("TestIt", above))
    return MarkedItem(node)


def written(*texts: str, where: str = "--mem-fail-on") -> tuple[FailRule, ...]:
    """Rules as a user wrote them."""
    return tuple(parse_rule(text, where) for text in texts)


@pytest.mark.parametrize(
    ("marks", "above", "run", "expected"),
    [
        pytest.param((), (), (), ["peak:10%+2MB"], id="the-default"),
        pytest.param((), (), ("peak:5%",), ["peak:5%"], id="the-run's"),
        pytest.param((RULE("peak:1%"),), (), ("peak:5%",), ["peak:1%"], id="own-marker"),
        pytest.param((), (RULE("peak:2%"),), ("peak:5%",), ["peak:2%"], id="class"),
        pytest.param(
            (RULE("peak:1%"),), (RULE("peak:2%"),), (), ["peak:1%"], id="own-before-class"
        ),
        pytest.param(
            (RULE("growth:1MB"),),
            (RULE("peak:2%"),),
            ("leak:9",),
            ["growth:1MB", "leak:9", "peak:2%"],
            id="each-about-something-else",
        ),
        pytest.param(
            (RULE("peak:1%", "peak:1MB"),), (), (), ["peak:1%", "peak:1MB"], id="two-of-one"
        ),
        pytest.param((RULE(None),), (RULE("peak:2%"),), ("peak:5%",), [], id="switched-off"),
        pytest.param(
            (RULE("growth:1MB"),),
            (RULE(None),),
            ("peak:5%",),
            ["growth:1MB"],
            id="switched-off-above",
        ),
    ],
)
def test_whose_rules(marks, above, run, expected) -> None:
    """The closest source decides for each thing that is compared; None ends the search."""
    planner = RegressionPlanner(written(*run), {})
    problems: list[str] = []
    rules = planner.rules(make_test(*marks, above=above), problems)
    assert expected == sorted(rule.text for rule in rules)
    assert problems == []


def test_who_set_them() -> None:
    """A rule knows whether it is the test's own marker's, that of a class, or the run's."""
    item = make_test(RULE("peak:1%"), above=(RULE("growth:1MB"),))
    rules = RegressionPlanner(written("leak:9"), {}).rules(item, [])
    assert {rule.kind: rule.where for rule in rules} == {
        "peak": "the marker",
        "growth": "the marker on TestIt",
        "leak": "--mem-fail-on",
    }


def test_problems() -> None:
    """Each bad rule is reported with its place, and the other sources still hold."""
    item = make_test(RULE("peak"), above=(RULE("much", "peak:x"),))
    planner = RegressionPlanner(written("peak:5%"), {})
    problems: list[str] = []
    assert [rule.text for rule in planner.rules(item, problems)] == ["peak:5%"]
    own, *others = problems
    start = "test_it.py:7: test_it.py::test_it"
    assert own.startswith(f"{start}: mem_regression: 'peak' is no rule, ")
    assert [problem.partition(" is no rule")[0] for problem in others] == [
        f"{start}, marker on TestIt: mem_regression: 'much'",
        f"{start}, marker on TestIt: mem_regression: 'peak:x'",
    ]


def test_problems_of_a_class_are_reported_once() -> None:
    """A marker that several tests share is reported with the first of them."""
    planner = RegressionPlanner((), {})
    item = make_test(above=(RULE("much"),))
    problems: list[str] = []
    assert [rule.text for rule in planner.rules(item, problems)] == ["peak:10%+2MB"]
    assert [rule.text for rule in planner.rules(item, problems)] == ["peak:10%+2MB"]
    assert len(problems) == 1


@pytest.mark.parametrize(
    "mark",
    [
        pytest.param(RULE(), id="nothing"),
        pytest.param(RULE(rule="peak:1%"), id="by-name"),
        pytest.param(RULE("peak:1%", where="here"), id="one-more-by-name"),
    ],
)
def test_arguments(mark) -> None:
    """Arguments that are not rules are reported with what would be right."""
    with pytest.raises(ConfigError) as caught:
        rules_from_mark(mark.mark, "the marker")
    assert caught.value.problems == (f"it takes rules: {SIGNATURE}",)


@pytest.mark.parametrize("arguments", [(None, "peak:1%"), ("peak:1%", None), (5,)])
def test_no_rule_among_them(arguments) -> None:
    """None alone switches the comparison off, and is refused beside a rule."""
    with pytest.raises(ConfigError, match="is no rule, it is not a text"):
        rules_from_mark(RULE(*arguments).mark, "the marker")


def heap_budget(**fields) -> Budget:
    """A user's budget on the heap."""
    return Budget(limit=5, where="the marker", metric="heap", **fields)


@pytest.mark.parametrize(
    ("known", "budgets", "expected"),
    [
        pytest.param({}, (), [], id="nothing-on-record"),
        pytest.param({"rss": ENTRY}, (), ["rss"], id="resident-memory"),
        pytest.param(
            {"rss": ENTRY, "heap": ENTRY}, (), ["rss"], id="heap-that-no-budget-needs"
        ),
        pytest.param(
            {"rss": ENTRY, "heap": ENTRY}, (heap_budget(),), ["rss", "heap"], id="heap-budget"
        ),
        pytest.param(
            {"rss": ENTRY, "heap": ENTRY},
            (heap_budget(phase="setup"),),
            ["rss"],
            id="heap-of-another-phase",
        ),
        pytest.param(
            {"rss": ENTRY, "heap": ENTRY},
            (heap_budget(stage="load"), heap_budget(phase="all")),
            ["rss", "heap"],
            id="two-budgets-are-one-comparison",
        ),
        pytest.param({"heap": ENTRY}, (heap_budget(),), ["heap"], id="heap-alone-on-record"),
    ],
)
def test_formers(known, budgets, expected) -> None:
    """Resident memory is compared, and what a budget has measured anyway."""
    entries = {metric: {"test_it.py::test_it": entry} for metric, entry in known.items()}
    plan = RegressionPlanner((), entries).plan(make_test(), budgets, [])
    found = plan.peaks if plan is not None else ()
    assert expected == [budget.metric for budget in found]
    assert all(
        budget.baseline_value and budget.baseline_value.rule is DEFAULT for budget in found
    )


def test_tests_with_the_same_numbers_share_a_plan() -> None:
    """Tests with the same budgets and the same baseline values share one plan."""
    first, second, other = (Node(name, ()) for name in ("test_a", "test_b", "test_c"))
    entries = {
        first.nodeid: ENTRY,
        second.nodeid: replace(ENTRY),
        other.nodeid: replace(ENTRY, peak=MIB),
    }
    settings = Settings()
    key = EnvironmentKey(
        system="Linux", machine="x86_64", implementation="CPython", python="3.11"
    )
    regressions = RegressionCheck(
        settings, {"rss": (key, entries)}, Baseline(), "file", "/", None
    )
    checks = Checks(lambda _: [BudgetCheck(settings), regressions])
    checks.begin(set())
    nodes: list[Any] = [first, second, other]
    plans = [checks.plan(MarkedItem(node)) for node in nodes]
    assert plans[0] is plans[1]
    assert plans[0] != plans[2]
