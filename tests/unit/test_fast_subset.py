"""Tests of what keeps the fast tests fast."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.fast_subset import Sum, pytest_collection_modifyitems


def summed(*, fast: float, slow: float, whole: bool = True) -> Sum:
    """The sum of a fast and a slow test."""
    found = Sum(whole=whole)
    for kind, seconds in (("fast", fast), ("slow", slow)):
        found.pytest_runtest_logreport(
            SimpleNamespace(when="teardown", kind=kind, cpu_seconds=seconds)
        )
    return found


@pytest.mark.parametrize(
    ("fast", "slow", "whole", "reported"),
    [
        pytest.param(24, 76, True, False, id="few"),
        pytest.param(26, 74, True, True, id="many"),
        pytest.param(26, 0, False, False, id="fast-tests-alone"),
    ],
)
def test_share(fast, slow, whole, reported):
    """A run of all tests fails if the fast ones used more than a quarter of its CPU time."""
    found = summed(fast=fast, slow=slow, whole=whole)
    session = SimpleNamespace(exitstatus=pytest.ExitCode.OK)
    found.pytest_sessionfinish(session)

    assert reported == ("mark some of them as slow" in found.problem())
    assert reported == (session.exitstatus == pytest.ExitCode.TESTS_FAILED)


class Item:
    """A collected test."""

    def __init__(self, nodeid: str, *markers: str) -> None:
        """Begin with its own markers."""
        self.nodeid = nodeid
        self.path = Path(nodeid.partition("::")[0])
        self.markers = set(markers)

    def add_marker(self, name: str) -> None:
        """Add one."""
        self.markers.add(name)

    def get_closest_marker(self, name: str) -> str | None:
        """The marker, if the test has it."""
        return name if name in self.markers else None


@pytest.mark.parametrize(
    ("item", "slow"),
    [
        pytest.param(Item("tests/unit/test_a.py::test_it"), False, id="unit"),
        pytest.param(Item("tests/unit/test_a.py::test_it", "slow"), True, id="marked-as-slow"),
        pytest.param(Item("tests/plugin/test_a.py::test_it"), True, id="plugin"),
        pytest.param(
            Item("tests/plugin/test_a.py::test_it", "fast"), False, id="marked-as-fast"
        ),
    ],
)
def test_which_tests_are_slow(item, slow):
    """The folder decides, unless a marker does."""
    pytest_collection_modifyitems([item])

    assert slow == ("slow" in item.markers)


def test_order():
    """The longest tests are run first, so that no worker waits for one in the end."""
    items = [Item("tests/unit/test_a.py::test_it"), Item("tests/test_lint.py::test_lint")]
    pytest_collection_modifyitems(items)

    assert [item.path.name for item in items] == ["test_lint.py", "test_a.py"]
