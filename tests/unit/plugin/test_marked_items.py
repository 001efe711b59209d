"""Tests of items of pytest as checks see them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pytest_memguard.plugin.marked_items import MarkedItem


def make_item(*of_function: Any, of_parameter: tuple[Any, ...] = ()) -> Any:
    """An item whose function has some markers, and one set of parameters others."""
    of_parameters = [decorator.mark for decorator in of_parameter]
    own = [*(decorator.mark for decorator in of_function), *of_parameters]
    item = SimpleNamespace(
        nodeid="test_it.py::test_it[1]",
        own_markers=own,
        callspec=SimpleNamespace(marks=of_parameters, params={"rows": 1}),
    )
    item.iter_markers_with_node = lambda name: [(item, m) for m in own if m.name == name]
    return item


def test_markers_of_parameters_are_the_closest() -> None:
    """A parameter's marker comes before that of the function, for every check."""
    budget, check = pytest.mark.mem_budget, pytest.mark.mem_leak_check
    item = make_item(budget(1), check(calls=5), of_parameter=(budget(2), check(calls=6)))
    marked = MarkedItem(item)
    assert [one.mark.args for one in marked.marked("mem_budget")] == [(2,), (1,)]
    assert [one.mark.kwargs["calls"] for one in marked.marked("mem_leak_check")] == [6, 5]


def test_added_since() -> None:
    """Markers that were there before are not new, equal ones that were added are."""
    budget = pytest.mark.mem_budget
    item = make_item(budget(1))
    before = tuple(item.own_markers)
    item.own_markers.append(budget(1).mark)
    assert len(MarkedItem(item).added_since(before)) == 1
    assert MarkedItem(item).added_since(item.own_markers) == []
