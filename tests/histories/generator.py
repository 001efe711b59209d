"""Draws random histories."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.histories.model import Case, Fixture, History, Operation
from tests.histories.operations import TABLES

_MOST_STEPS = 3
_SIZES = st.sampled_from([4, 2, 3])  # MiB; larger ones show nothing else, slowly
_MANY = ("lists", "blocks")  # kinds of many objects
_KINDS = st.sampled_from(["bytearray", "lists", "blocks", "mmap", "grown", "shrunk"])
_HOLDERS = st.sampled_from(["plain", "cycle", "finalizer"])
_SLOTS = st.sampled_from(["a", "b"])
_FACTORS = st.sampled_from([0.5, 2.0, 0.8, 1.25, 0.5, None])
_TABLES = st.sampled_from(TABLES)


_HELD = st.tuples(_KINDS, _SIZES, _HOLDERS)
_MEMORY_OF_MANY = st.tuples(st.sampled_from(_MANY), _SIZES)


def _operation(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Operation]:
    def make(drawn: tuple[Any, ...]) -> Operation:
        parts = [part if isinstance(part, tuple) else (part,) for part in drawn]
        return Operation(name, sum(parts, ()))

    return st.tuples(*arguments).map(make)


_ALLOCATE = _operation("allocate", _HELD)
_KEEP = _operation("keep", _HELD, _SLOTS)
_DROP = _operation("drop", _SLOTS)
_COLLECT = _operation("collect", st.sampled_from([2, 2, 1, 0]))
_CHURN = _operation("churn", st.sampled_from([1, 5, 20]))
_SINGLE = st.one_of(
    *(_ALLOCATE, _ALLOCATE, _KEEP, _KEEP, _DROP, _COLLECT, _CHURN),
    _operation("thin_out", _MEMORY_OF_MANY, _SLOTS),
    _operation("fill_dict", _SIZES),
    _operation("fill_lru", _SIZES),
    _operation("clear", st.sampled_from(["dict", "lru"])),
    _operation("chain", _HELD, st.sampled_from(["", "a", "b"])),
    _operation("load", _TABLES),
    _operation("unload", _TABLES),
    _operation("fork", _KINDS, _SIZES),
    _operation("thread", _KINDS, _SIZES),
)
# what hides memory most: the test frees memory of the past, then uses its own
_HIDING = st.one_of(
    st.tuples(_COLLECT, _ALLOCATE),
    st.tuples(_DROP, _COLLECT, _ALLOCATE),
    st.tuples(_CHURN, _CHURN, _ALLOCATE),
)
_STEPS = st.one_of(*([st.tuples(_SINGLE)] * 4), _HIDING)
_FAIL = _operation("fail", _HELD)
_FIXTURES = st.builds(
    lambda scope, memory: Fixture(scope, *memory),
    st.sampled_from(["function", "class", "module"]),
    _HELD,
)


@st.composite
def _cases(draw: st.DrawFn) -> Case:
    operations = [
        step for steps in draw(st.lists(_STEPS, max_size=_MOST_STEPS)) for step in steps
    ]
    if draw(st.integers(0, 7)) == 7:  # one in eight fails
        operations.append(draw(_FAIL))
    return Case(
        operations=tuple(operations),
        factor=draw(_FACTORS),
        place=draw(st.sampled_from(["same", "same", "class", "module"])),
        fixture=draw(st.none() | _FIXTURES),
    )


# short histories are quicker, and show as much: at most one in four is long
_LENGTHS = st.sampled_from([3, 3, 4, 4, 5, 5, 6, 8])
_CASES = _cases()
histories: st.SearchStrategy[History] = st.builds(
    History,
    _LENGTHS.flatmap(lambda n: st.lists(_CASES, min_size=n, max_size=n)).map(tuple),
    st.sampled_from([0, 10]),
)
