"""Tests of the marker of isolation, and of which tests are isolated."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pytest_memguard.checks.isolation.plan import (
    SIGNATURE,
    IsolationPlan,
    IsolationPlanner,
    plan_from_mark,
)
from pytest_memguard.checks.protocol import PlacedMarker
from pytest_memguard.errors import ConfigError
from pytest_memguard.sizes import MIB


def plan(limit=0, timeout=0.0) -> IsolationPlan:
    """What the marker asks for."""
    return IsolationPlan(limit=limit, timeout=timeout, where="the marker")


@pytest.mark.parametrize(
    ("args", "kwargs", "expected"),
    [
        pytest.param((), {}, plan(), id="bare"),
        pytest.param((), {"limit": None, "timeout": None}, plan(), id="none"),
        pytest.param((200,), {}, plan(200 * MIB), id="number"),
        pytest.param((), {"limit": "1 MB"}, plan(MIB), id="text"),
        pytest.param((200, 5), {}, plan(200 * MIB, 5.0), id="both"),
        pytest.param((), {"timeout": 0.5}, plan(timeout=0.5), id="timeout"),
    ],
)
def test_plan_from_mark(args, kwargs, expected) -> None:
    """A marker's arguments become the limits of the test's process."""
    assert expected == plan_from_mark(args, kwargs, "the marker")


@pytest.mark.parametrize(
    ("args", "kwargs", "problem"),
    [
        pytest.param((1, 2, 3), {}, f"it takes 2 arguments: {SIGNATURE}", id="three"),
        pytest.param((1,), {"limit": 2}, f"limit is given twice: {SIGNATURE}", id="twice"),
        pytest.param((), {"scope": 1}, f"it has no argument 'scope': {SIGNATURE}", id="name"),
        pytest.param((0,), {}, "a limit of 0 would stop every test", id="zero"),
        pytest.param(("much",), {}, "'much' is not a size", id="no-size"),
        pytest.param((), {"timeout": 0}, "timeout 0 is not a number of seconds", id="no-time"),
        pytest.param((), {"timeout": "soon"}, "timeout 'soon' is not a number", id="no-number"),
        pytest.param((), {"timeout": float("nan")}, "timeout nan is not a number", id="nan"),
    ],
)
def test_marker_that_makes_no_sense(args, kwargs, problem) -> None:
    """A wrong argument is named, with what would be right."""
    with pytest.raises(ConfigError) as caught:
        plan_from_mark(args, kwargs, "the marker")
    assert caught.value.problems[0].startswith(problem)


def marked(*marks) -> SimpleNamespace:
    """A test with markers of isolation, the closest first."""
    return SimpleNamespace(
        marked=lambda _: [PlacedMarker(mark, None, "the marker") for mark in marks],
        problem_lines=lambda _, problems: [f"here: {problem}" for problem in problems],
    )


@pytest.mark.parametrize(
    ("scope", "mark", "expected"),
    [
        pytest.param("off", None, None, id="not-asked-for"),
        pytest.param("test", None, IsolationPlan(), id="each-test"),
        pytest.param("module", None, IsolationPlan(alone=False), id="each-module"),
        pytest.param("off", pytest.mark.mem_isolate(5), plan(5 * MIB), id="marker-alone"),
        pytest.param("module", pytest.mark.mem_isolate(), plan(), id="marker-goes-first"),
    ],
)
def test_who_is_isolated(scope, mark, expected) -> None:
    """The option isolates every test, a marker its own; its test has a process to itself."""
    problems: list[str] = []
    test = marked(*([mark.mark] if mark is not None else []))
    assert expected == IsolationPlanner(scope).plan(test, problems)
    assert problems == []


def test_a_wrong_marker_is_named_once() -> None:
    """A marker that many tests share is reported with the first of them."""
    problems: list[str] = []
    test, planner = marked(pytest.mark.mem_isolate(0).mark), IsolationPlanner("off")
    assert [planner.plan(test, problems) for _ in range(2)] == [None, None]
    assert problems == ["here: a limit of 0 would stop every test: write a size above 0"]
