"""Tests of asking tracemalloc which lines allocated Python objects that stay."""

from __future__ import annotations

import _thread
import gc
import sys
import tracemalloc
from collections import Counter
from itertools import count
from pathlib import Path

import pytest

from pytest_memguard.probes import python_blocks
from pytest_memguard.probes.function_names import Functions
from pytest_memguard.probes.python_blocks import TracingStopped, traced_again
from pytest_memguard.probes.surviving_blocks import SurvivingBlocks, is_of_instruments
from tests.support.fresh_process import alone

CALLS = 16
KEPT: list[tuple[int, int]] = []
NUMBERS = count(1000)
HERE = __file__


def reuse() -> None:
    """Make a tuple and drop it, and keep another one in the same place."""
    number = next(NUMBERS)
    len((number, number))
    KEPT.append((number, 0))


def blocks_of(found: list[SurvivingBlocks]) -> Counter[int]:
    """How many blocks the lines of this file have, from the function's first line."""
    counts: Counter[int] = Counter()
    for survivors in found:
        if survivors.stack and survivors.stack[0][1] == HERE:
            counts[survivors.stack[0][2] - reuse.__code__.co_firstlineno] += survivors.count
    return counts


@alone
def test_who_has_a_tuple_that_was_kept_for_reuse() -> None:
    """A tuple is attributed to the line that allocated it, not to the one that freed it."""
    found = traced_again(reuse, CALLS, gc.collect, [])
    counts = blocks_of(found)
    assert counts[2] == CALLS
    assert counts[3] <= 1
    assert counts[4] in {CALLS, CALLS + 1}  # the list may have been moved
    assert {s.stack[0][0] for s in found if s.stack[0][1] == HERE} == {"reuse"}
    assert not tracemalloc.is_tracing()


@alone
def test_what_memray_alone_knows() -> None:
    """Names of functions, C functions and memory of others are taken from memray."""
    line = reuse.__code__.co_firstlineno + 4
    other = SurvivingBlocks(stack=(), native=("reserve",), count=CALLS, size=99)
    same = SurvivingBlocks(
        stack=(("known", HERE, line),), native=("make",), count=3, size=9, of_python=True
    )
    found = traced_again(reuse, CALLS, gc.collect, [same, other])
    assert other in found
    assert same not in found
    (known_line,) = [s for s in found if s.stack and s.stack[0][1:] == (HERE, line)]
    assert (known_line.stack[0][0], known_line.native) == ("known", ("make",))
    assert known_line.count in {CALLS, CALLS + 1}  # the list may have been moved


def test_where_tracemalloc_is_busy() -> None:
    """If other code uses tracemalloc, no more calls are made, and it goes on."""
    memray = [SurvivingBlocks(stack=(), native=(), count=1, size=1)]
    calls = []
    tracemalloc.start()
    try:
        assert memray == traced_again(lambda: calls.append(1), CALLS, gc.collect, memray)
        assert tracemalloc.is_tracing()
    finally:
        tracemalloc.stop()
    assert calls == []


def test_with_very_many_blocks(monkeypatch) -> None:
    """With very many blocks, the result of memray stays."""
    memray = [SurvivingBlocks(stack=(), native=(), count=1, size=1)]
    kept = []
    monkeypatch.setattr(python_blocks, "_MOST_BLOCKS", 100)
    call = lambda: kept.append([object() for _ in range(200)])  # noqa: E731
    assert memray == traced_again(call, 2, lambda: None, memray)
    assert not tracemalloc.is_tracing()


def test_calls_that_stop_tracemalloc() -> None:
    """A test that stops tracemalloc ends memguard's use of it, which is reported."""
    with pytest.raises(TracingStopped):
        traced_again(tracemalloc.stop, 2, lambda: None, [])
    assert not tracemalloc.is_tracing()


class Depths:
    """Tables in a trace that note how deep the stack is where they are read."""

    def __init__(self) -> None:
        """None are known at first."""
        self.found: list[int] = []

    def start(self) -> None:
        """Nothing is needed."""

    def read(self) -> tuple[Counter[object], dict[int, object]]:
        """Note the depth, and that garbage would not be collected."""
        frame, depth = sys._getframe(), 0
        while frame is not None:
            frame, depth = frame.f_back, depth + 1
        self.found.append(depth)
        assert not gc.isenabled()
        return Counter(), {}


def traced_from_below(levels: int, tables: Depths) -> list[SurvivingBlocks]:
    """What calls of `reuse` leave behind, asked for from so many frames further below."""
    if levels:
        return traced_from_below(levels - 1, tables)
    return traced_again(reuse, CALLS, gc.collect, [], tables)


@alone
def test_a_deep_stack() -> None:
    """What allocates under the trace has a short stack: each block takes the whole of it."""
    tables = Depths()
    found = traced_from_below(100, tables)
    assert blocks_of(found)[2] == CALLS
    assert all(depth < 10 for depth in tables.found)
    assert gc.isenabled()


@alone
def test_without_another_thread(monkeypatch) -> None:
    """Where no thread can be started, the stack stays as it is."""

    def refuse(*_: object) -> None:
        msg = "can't start new thread"
        raise RuntimeError(msg)

    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    tables = Depths()
    assert blocks_of(traced_from_below(100, tables))[2] == CALLS
    assert all(depth > 100 for depth in tables.found)
    assert gc.isenabled()


@alone
def test_tables_that_cannot_be_read() -> None:
    """What goes wrong in the other thread is raised in this one."""
    tables = Depths()
    tables.read = [].pop
    with pytest.raises(IndexError):
        traced_from_below(0, tables)
    assert not tracemalloc.is_tracing()


RENEWED: dict[int, str] = {}


def renew() -> None:
    """Replace all of a table, and keep one more."""
    for key in range(500):
        RENEWED[key] = "x" * 60 + str(key)
    KEPT.append((next(NUMBERS), 0))


@alone
def test_what_each_call_replaces() -> None:
    """The latest generation of a table of constant size is none of what is kept."""
    renew()
    found = traced_again(renew, CALLS, gc.collect, [])
    first = renew.__code__.co_firstlineno
    counts = {s.stack[0][2] - first: s.count for s in found if s.stack[0][1] == HERE}
    assert counts.get(3, 0) == 0
    assert counts[4] in {2 * CALLS, 2 * CALLS + 1}


BUFFER = bytearray(200_000)


@alone
def test_what_grows_in_place() -> None:
    """A block that became larger is one whose bytes alone are more."""
    call = lambda: BUFFER.extend(bytes(40_000))  # noqa: E731
    found = traced_again(call, CALLS, gc.collect, [])
    (grown,) = [s for s in found if s.stack[0][1] == HERE]
    assert grown.count == 0
    assert 0.6 < grown.size / (CALLS * 40_000) < 1.4
    assert grown.small == 0


@pytest.mark.parametrize(
    ("function", "theirs"),
    [
        ("call_trace", True),
        ("call_profile_func", True),
        ("sys_profile_start", True),
        ("tracemalloc_add_trace", True),
        ("traceback_new", True),
        ("tracemalloc_alloc", False),
        ("call_traced", False),
    ],
)
def test_blocks_of_the_instruments(function, theirs) -> None:
    """Blocks that the interpreter allocates for a tracker are not attributed to the test."""
    native = ("gc_alloc", "_PyFrame_GetFrameObject", function, "_PyEval_EvalFrameDefault")
    assert is_of_instruments(native) is theirs


SOURCE = """
class Book:
    pages = [n for n in range(3)]

    def read(self):
        def turn():
            return 1
        return turn()

value = 1
"""


@pytest.mark.parametrize(
    ("line", "name"),
    [(7, "turn"), (8, "read"), (10, "<module>"), (3, "Book"), (99, "")],
)
def test_names_of_functions(tmp_path: Path, line, name) -> None:
    """A line belongs to the innermost function it is in, as far as the source shows."""
    file = tmp_path / "book.py"
    file.write_text(SOURCE)
    found = Functions().name(str(file), line)
    assert found in ({name, "<listcomp>"} if line == 3 else {name})


@pytest.mark.parametrize("text", [None, "def f(:", "\0"])
def test_no_source(tmp_path: Path, text) -> None:
    """A file that is missing or no Python has no names, and no error; known ones stay."""
    file = tmp_path / "book.py"
    if text is not None:
        file.write_text(text)
    functions = Functions({(str(file), 2): "known"})
    assert functions.named([("", str(file), 1), ("", str(file), 2)]) == (
        ("", str(file), 1),
        ("known", str(file), 2),
    )
