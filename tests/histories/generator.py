"""Draws random histories."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.histories.model import Case, Fixture, History, Operation
from tests.histories.operations import TABLES

FEWEST, MOST = 3, 8
"""Tests of a history."""
_MOST_OPERATIONS = 4
_SIZES = st.sampled_from([4, 2, 6, 8])  # MiB; larger ones show nothing else, slowly
_SMALL_SIZES = st.sampled_from([4, 2, 3])  # of what takes long to make
_MANY = ("lists", "blocks")  # kinds of many objects
_KINDS = st.sampled_from(["bytearray", "lists", "blocks", "mmap", "grown", "shrunk"])
_HOLDERS = st.sampled_from(["plain", "cycle", "finalizer"])
_SLOTS = st.sampled_from(["a", "b"])
_FACTORS = st.sampled_from([0.5, 2.0, 0.8, 1.25, None])
_TABLES = st.sampled_from(TABLES)


@st.composite
def _memory(draw: st.DrawFn) -> tuple[str, int]:
    kind = draw(_KINDS)
    return kind, draw(_SMALL_SIZES if kind in _MANY else _SIZES)


_HELD = st.tuples(_memory(), _HOLDERS).map(lambda parts: (*parts[0], parts[1]))
_MEMORY_OF_MANY = st.tuples(st.sampled_from(_MANY), _SMALL_SIZES)


def _operation(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Operation]:
    def make(drawn: tuple[Any, ...]) -> Operation:
        parts = [part if isinstance(part, tuple) else (part,) for part in drawn]
        return Operation(name, sum(parts, ()))

    return st.tuples(*arguments).map(make)


_ALLOCATE = _operation("allocate", _HELD)
_KEEP = _operation("keep", _HELD, _SLOTS)
_DROP = _operation("drop", _SLOTS)
_COLLECT = _operation("collect", st.sampled_from([2, 1, 0]))
# what hides memory most is drawn most often: past memory that a test lets go of
_OPERATIONS = st.one_of(
    *(_ALLOCATE, _ALLOCATE, _KEEP, _KEEP, _DROP, _DROP, _COLLECT, _COLLECT),
    _operation("churn", st.sampled_from([1, 5, 20])),
    _operation("thin_out", _MEMORY_OF_MANY, _SLOTS),
    _operation("fill_dict", _SMALL_SIZES),
    _operation("fill_lru", _SMALL_SIZES),
    _operation("clear", st.sampled_from(["dict", "lru"])),
    _operation("chain", _HELD, st.sampled_from(["", "a", "b"])),
    _operation("load", _TABLES),
    _operation("unload", _TABLES),
    _operation("fork", _memory()),
    _operation("thread", _memory()),
)
_FAIL = _operation("fail", _HELD)
_FIXTURES = st.builds(
    lambda scope, memory: Fixture(scope, *memory),
    st.sampled_from(["function", "class", "module"]),
    _HELD,
)


@st.composite
def _cases(draw: st.DrawFn) -> Case:
    operations = draw(st.lists(_OPERATIONS, max_size=_MOST_OPERATIONS))
    if draw(st.integers(0, 7)) == 7:  # one in eight fails
        operations.append(draw(_FAIL))
    return Case(
        operations=tuple(operations),
        factor=draw(_FACTORS),
        place=draw(st.sampled_from(["same", "same", "class", "module"])),
        fixture=draw(st.none() | st.none() | _FIXTURES),
    )


histories: st.SearchStrategy[History] = st.builds(
    History,
    st.lists(_cases(), min_size=FEWEST, max_size=MOST).map(tuple),
    st.sampled_from([0, 10]),
)
