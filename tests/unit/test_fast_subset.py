"""Tests of what keeps the fast tests fast."""

from __future__ import annotations

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
    ("fast", "slow", "whole", "told"),
    [
        pytest.param(24, 76, True, False, id="few"),
        pytest.param(26, 74, True, True, id="many"),
        pytest.param(26, 0, False, False, id="fast-tests-alone"),
    ],
)
def test_share(fast, slow, whole, told):
    """A run of all tests fails if the fast ones used more than a quarter of its CPU time."""
    found = summed(fast=fast, slow=slow, whole=whole)
    session = SimpleNamespace(exitstatus=pytest.ExitCode.OK)
    found.pytest_sessionfinish(session)

    assert told == ("mark some of them as slow" in found.problem())
    assert told == (session.exitstatus == pytest.ExitCode.TESTS_FAILED)


class Item:
    """A collected test."""

    def __init__(self, nodeid: str, *markers: str) -> None:
        """Begin with its own markers."""
        self.nodeid = nodeid
        self.markers = set(markers)

    def add_marker(self, name: str) -> None:
        """Add one."""
        self.markers.add(name)

    def get_closest_marker(self, name: str) -> str | None:
        """The marker, if the test has it."""
        return name if name in self.markers else None


def test_which_tests_are_slow():
    """The folder decides unless a marker does, and slow tests come first."""
    fast = [
        Item("tests/unit/test_a.py::test_it"),
        Item("tests/plugin/test_b.py::test_it", "fast"),
    ]
    slow = [
        Item("tests/unit/test_c.py::test_it", "slow"),
        Item("tests/plugin/test_d.py::test_it"),
    ]
    items = [*fast, *slow]
    pytest_collection_modifyitems(items)

    assert [*slow, *fast] == items
    assert ["slow" in item.markers for item in items] == [True, True, False, False]
