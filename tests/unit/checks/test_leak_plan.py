"""Tests of leak plans: which marker decides, and what it says."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_memguard.checks.leak.plan import LeakPlanner
from pytest_memguard.options.parsing import StopAt
from pytest_memguard.options.settings import Settings
from pytest_memguard.plugin.marked_items import MarkedItem
from pytest_memguard.sizes import MIB

BYTES_HINT = "write a number of bytes (512) or a text ('2 KB')"
CHECK = pytest.mark.mem_leak_check
NO_CHECK = pytest.mark.mem_no_leak_check


class Node:
    """As much of a test or class as the planner reads."""

    def __init__(self, name: str, marks: tuple[Any, ...], parent: Node | None = None) -> None:
        """A node under another one, with markers as they are applied: the closest last."""
        self.name = name
        self.nodeid = f"test_it.py::{name}"
        self.location = ("test_it.py", 6, name)
        self._marks = [decorator.mark for decorator in marks]
        self.parent = parent

    def listchain(self) -> list[Node]:
        """The nodes from the root on."""
        return [*(self.parent.listchain() if self.parent else []), self]

    def iter_markers_with_node(self, name: str) -> Iterator[tuple[Node, pytest.Mark]]:
        """Every marker of that name, the closest first."""
        for node in reversed(self.listchain()):
            for mark in reversed(node._marks):
                if mark.name == name:
                    yield node, mark


def plan(*marks: Any, above: tuple[Any, ...] = (), **settings: Any) -> Any:
    """The plan of a test with these markers in a class with those, and the problems."""
    planner = LeakPlanner(Settings(**settings))
    item: Any = Node("test_it", marks, Node("TestIt", above))
    problems: list[str] = []
    return SimpleNamespace(plan=planner.plan(MarkedItem(item), problems), problems=problems)


@pytest.mark.parametrize(
    ("marks", "above", "check", "skipped"),
    [
        pytest.param((), (), "marked", None, id="not-requested"),
        pytest.param((), (), "all", "", id="all"),
        pytest.param((CHECK,), (), "marked", "", id="marker"),
        pytest.param((), (CHECK,), "marked", "", id="class"),
        pytest.param((NO_CHECK("odd"),), (), "all", "odd", id="left-out"),
        pytest.param((NO_CHECK(reason="odd"),), (), "marked", "odd", id="left-out-of-nothing"),
        pytest.param((), (NO_CHECK("odd"),), "all", "odd", id="class-left-out"),
        pytest.param((CHECK,), (NO_CHECK("odd"),), "all", "", id="own-check-first"),
        pytest.param((NO_CHECK("odd"),), (CHECK,), "all", "odd", id="own-no-check-first"),
        pytest.param((NO_CHECK("odd"), CHECK), (), "all", "odd", id="both"),
        pytest.param((CHECK, NO_CHECK("odd")), (), "all", "odd", id="both-turned"),
    ],
)
def test_who_is_checked(marks, above, check, skipped) -> None:
    """The closest marker decides; on one node leaving out does."""
    found = plan(*marks, above=above, leak_check=check).plan
    assert (None if found is None else found.skipped) == skipped


def test_defaults_are_those_of_the_run() -> None:
    """Without arguments the limits are the settings."""
    found = plan(
        CHECK,
        leak_calls=50,
        leak_seconds=3.0,
        leak_tolerance=7,
        leak_stop_at=StopAt(memory=MIB, files=5, threads=6),
    ).plan
    limits = found.limits
    assert (limits.calls, limits.seconds, limits.memory) == (50, 3.0, MIB)
    assert (limits.files, limits.threads) == (5, 6)
    assert (found.tolerance, found.ignore, found.resources) == (7, (), True)


def test_arguments() -> None:
    """A marker's arguments go before the settings."""
    mark = CHECK(calls=9, warmup=0, tolerance="2 KB", ignore=["a", "b"], resources=False)
    found = plan(mark, leak_calls=50, leak_tolerance=7).plan
    assert (found.limits.calls, found.limits.warmup) == (9, 0)
    assert (found.tolerance, found.ignore, found.resources) == (2048, ("a", "b"), False)


def test_one_pattern() -> None:
    """A single pattern need not be a list."""
    assert plan(CHECK(ignore="a.b")).plan.ignore == ("a.b",)


def test_arguments_do_not_add_up() -> None:
    """The arguments of a class's marker do not hold where the test has a marker of its own."""
    found = plan(CHECK(calls=5), above=(CHECK(tolerance=9),)).plan
    assert (found.limits.calls, found.tolerance) == (5, 0)


@pytest.mark.parametrize(
    ("mark", "problems"),
    [
        pytest.param(CHECK(calls=0), ["calls 0 is not a whole number from 1"], id="calls"),
        pytest.param(
            CHECK(calls=10**400),
            [
                (
                    f"calls 1{'0' * 59}... (401 characters) is not a whole number "
                    "from 1 to 1000000000"
                )
            ],
            id="calls-too-many",
        ),
        pytest.param(
            CHECK(calls=2.0, warmup=True),
            [
                "calls 2.0 is not a whole number from 1",
                "warmup True is not a whole number from 0",
            ],
            id="other-types",
        ),
        pytest.param(
            CHECK(calls=5, warmup=5),
            ["warmup 5 leaves none of 5 calls to look for a leak in"],
            id="warmup-alone",
        ),
        pytest.param(
            CHECK(tolerance=None),
            [f"tolerance: None is not a size: {BYTES_HINT}"],
            id="tolerance-none",
        ),
        pytest.param(
            CHECK(tolerance=2**63),
            [
                (
                    "tolerance: 9223372036854775808 is not a size, "
                    f"it is 8 EiB (2**63 bytes) or more: {BYTES_HINT}"
                )
            ],
            id="tolerance-too-large",
        ),
        pytest.param(
            CHECK(tolerance=0.5),
            [f"tolerance: 0.5 is not a size, it is less than a byte: {BYTES_HINT}"],
            id="tolerance-below-a-byte",
        ),
        pytest.param(
            CHECK(ignore=["feed.*", "", 5, "[a"]),
            [
                "ignore: '' is not a pattern: write one as 'feed.*' or '*/feed.py'",
                "ignore: 5 is not a pattern: write one as 'feed.*' or '*/feed.py'",
                "ignore: '[a' is not a pattern: close its bracket, or write [[] for a bracket",
            ],
            id="patterns",
        ),
        pytest.param(
            CHECK(ignore=None),
            ["ignore: None is not a pattern: write one as 'feed.*' or '*/feed.py'"],
            id="no-patterns",
        ),
        pytest.param(
            CHECK(calls="x", warmup=-1, resources=None),
            [
                "calls 'x' is not a whole number from 1",
                "warmup -1 is not a whole number from 0",
                "resources None is neither True nor False",
            ],
            id="three-at-once",
        ),
        pytest.param(
            NO_CHECK(),
            ["it takes one reason, a text: mem_no_leak_check(reason)"],
            id="no-reason",
        ),
        pytest.param(
            NO_CHECK("  "),
            ["it takes one reason, a text: mem_no_leak_check(reason)"],
            id="blank-reason",
        ),
        pytest.param(
            NO_CHECK("a", reason="b"),
            ["it takes one reason, a text: mem_no_leak_check(reason)"],
            id="two-reasons",
        ),
    ],
)
def test_problems(mark, problems) -> None:
    """Bad arguments are reported with file, line and node id, and the test has no plan."""
    found = plan(mark, leak_check="all")
    assert found.plan is None
    where = f"test_it.py:7: test_it.py::test_it: {mark.mark.name}: "
    assert found.problems == [where + problem for problem in problems]


def test_problems_of_a_class() -> None:
    """The node that has the marker is named."""
    found = plan(above=(CHECK(calls=0),))
    assert found.problems == [
        (
            "test_it.py:7: test_it.py::test_it, marker on TestIt: mem_leak_check: "
            "calls 0 is not a whole number from 1"
        )
    ]


def test_problems_of_a_class_are_reported_once() -> None:
    """A marker of a class is reported with the first of its tests, and no other is checked."""
    owner = Node("TestIt", (CHECK(calls=0),))
    planner = LeakPlanner(Settings())
    items: list[Any] = [Node(name, (), owner) for name in ("test_one", "test_two")]
    problems: list[str] = []
    assert [planner.plan(MarkedItem(item), problems) for item in items] == [None, None]
    (problem,) = problems
    assert problem.startswith("test_it.py:7: test_it.py::test_one, marker on TestIt: ")


def test_a_marker_that_does_not_decide_is_not_judged() -> None:
    """Bad arguments of a marker that does not decide are not reported."""
    found = plan(CHECK, above=(NO_CHECK(),))
    assert found.problems == []
    assert found.plan is not None
