"""Tests of tables that move while calls are traced, of containers that were there before."""

from __future__ import annotations

import gc
from collections import defaultdict
from typing import Any

import pytest

from pytest_memguard.attribution.old_tables import OldTables, TablesInTrace
from pytest_memguard.probes.python_blocks import traced_again
from pytest_memguard.probes.surviving_blocks import SurvivingBlocks
from tests.support.fresh_process import alone

CALLS = 16
HERE = __file__
LISTS: list[list[None]] = [[None] * 10 for _ in range(50)]
SHORT: list[list[None]] = [[] for _ in range(50)]


class Items(list[None]):
    """A list with attributes, which are referred to in front of it."""


OF_CLASS = [Items([None] * 10) for _ in range(50)]


def add(lists: list[Any]) -> None:
    """Add seven items to each list: most of them move more than once in all calls."""
    for one in lists:
        one.extend([None] * 7)


def found_here(lists: list[Any]) -> list[SurvivingBlocks]:
    """What the line that adds has left behind."""
    found = traced_again(lambda: add(lists), CALLS, gc.collect, [], TablesInTrace(old=True))
    return [s for s in found if s.stack and s.stack[0][1] == HERE]


@alone
@pytest.mark.parametrize("lists", [LISTS, OF_CLASS], ids=["lists", "lists-of-a-class"])
def test_tables_that_move(lists) -> None:
    """Moved tables are not blocks, and have the bytes added after the first calls."""
    (tables,) = found_here(lists)
    assert (tables.count, tables.tables, tables.block) == (0, 50, 0)
    added = CALLS * 7 * 8 * len(lists)
    assert 0.8 * added < tables.size < 1.3 * added


@alone
def test_tables_of_empty_lists() -> None:
    """The first table of a list is a block of its own, which is there before and after."""
    assert sum(one.count for one in found_here(SHORT)) == 0


def test_a_few_among_many() -> None:
    """Lists whose length differs are found, though others came and went between them."""
    lists = [[None] * (n % 7) for n in range(1_000)]
    tables = OldTables(lists)
    changed = {500: 9, 501: 1, 999: 300}
    for n, length in changed.items():
        lists[n][:] = [None] * length
    now = [[None], *lists[700:], [], *lists[:300], *lists[301:601], *lists[650:700]]
    places = {id(one): n for n, one in enumerate(lists)}
    grown = {places[id(table.container)]: table for table in tables.grown(now)}
    assert {n: table.length for n, table in grown.items()} == changed
    assert {n: table.before for n, table in grown.items()} == {n: n % 7 for n in changed}


@pytest.mark.parametrize(
    ("container", "grow"),
    [
        pytest.param([None] * 10, lambda one: one.extend(range(100)), id="list"),
        pytest.param(
            dict.fromkeys("abc"), lambda one: one.update(enumerate("x" * 99)), id="dict"
        ),
        pytest.param(
            defaultdict(list, a=[]), lambda one: one.update(enumerate("x" * 99)), id="subclass"
        ),
        pytest.param(set(range(20)), lambda one: one.update(range(500)), id="set"),
        pytest.param([bytearray(9)], lambda one: one[0].extend(bytes(99)), id="bytearray"),
    ],
)
def test_what_has_grown(container, grow) -> None:
    """Every kind of table is known by its address, and by its length before and now."""
    objects = [container, (container,)]
    tables = OldTables(objects)
    assert tables.grown(objects) == []
    grow(container)
    (table,) = tables.grown(objects)
    assert type(table.container) in {type(container), bytearray}
    assert 0 < table.before < table.length < table.size


def test_what_had_no_table() -> None:
    """A container that was empty gets a block that was not there."""
    container: list[int] = []
    tables = OldTables([container])
    container.append(1)
    assert tables.grown([container]) == []
