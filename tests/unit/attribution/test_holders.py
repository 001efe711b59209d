"""Tests of which of several holders of the same things is named."""

from __future__ import annotations

import pytest

from pytest_memguard.attribution.holder_groups import HolderGroups, _Group
from pytest_memguard.attribution.holders import is_below
from pytest_memguard.model.leaks import RetentionPath


@pytest.mark.parametrize(
    ("name", "other", "expected"),
    [
        ("app.LIST[...], closure variable seen", "app.LIST", True),
        ("app.LIST.items", "app.LIST", True),
        ("app.LIST, closure variable seen", "app.LIST", True),
        ("app.LISTS", "app.LIST", False),
        ("app.LIST", "app.LIST", False),
        ("app.LIST", "app.LIST[...]", False),
    ],
)
def test_parts_of_holders(name, other, expected) -> None:
    """A holder is a part of another one if its name begins with that of the other."""
    assert is_below(name, other) is expected


def _group(holder: str) -> _Group:
    group = _Group([], set())
    group.path = RetentionPath(steps=(holder,), holder=holder)
    return group


@pytest.mark.parametrize(
    ("holders", "named", "others"),
    [
        pytest.param(
            ["app.LIST", "app.LIST[...], closure variable seen"], "app.LIST", [], id="above"
        ),
        pytest.param(
            ["app.LIST[...], closure variable seen", "app.LIST"], "app.LIST", [], id="below"
        ),
        pytest.param(
            ["app.LIST[...].seen", "app.LIST[...].heard", "lib.ALL", "app.LIST"],
            "app.LIST",
            ["lib.ALL"],
            id="several-below",
        ),
        pytest.param(["app.LIST", "lib.ALL"], "app.LIST", ["lib.ALL"], id="beside"),
    ],
)
def test_holders_of_the_same_things(holders, named, others) -> None:
    """The holder of the others is named, whichever was found first, with others as a note."""
    first, *more = map(_group, holders)
    for group in more:
        HolderGroups._take_path(first, group)
    assert first.path is not None
    assert first.path.holder == named
    assert list(first.others) == others
