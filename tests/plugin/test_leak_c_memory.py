"""Leaks in the memory of C code: who holds them, where that can be found out."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads glibc's heap")

SOURCE = """
import ctypes, itertools, sqlite3

TAKE = ctypes.pythonapi.PyMem_RawMalloc
TAKE.restype = ctypes.c_void_p
MALLOC = ctypes.CDLL(None).malloc
MALLOC.restype = ctypes.c_void_p
CLEAR = ctypes.pythonapi.PyMem_RawCalloc
CLEAR.restype = ctypes.c_void_p
CONNECTION = sqlite3.connect(":memory:")
N = itertools.count()


class Double:
    def __call__(self, x):
        return 2 * x


def registered():
    name = f"double_{next(N)}"
    CONNECTION.create_function(name, 1, Double())
    assert CONNECTION.execute(f"SELECT {name}(2)").fetchone() == (4,)


def unused():
    CONNECTION.create_function(f"unused_{next(N)}", 1, Double())


def collated():
    CONNECTION.create_collation(f"by_{next(N)}", lambda a, b: 0)


def unseen():
    MALLOC(2000)


def lost_twice():
    TAKE(700)
    CLEAR(1, 200)


class Function:
    def __init__(self, function):
        self._function = function

    def __call__(self, *args):
        return self._function(*args)


PASSED = Function(TAKE)


def parsed():
    PASSED(200)


def linked():
    PASSED(3000)


def lost():
    assert CONNECTION.total_changes == 0
    TAKE(300)
"""


def _found(leaks, body: str) -> list[dict]:
    (test,) = leaks(f"{SOURCE}def test_it(): {body}\n", calls=300).values()
    assert test["leak"]["verdict"]["state"] == "leaking"
    return [test["leak"], *test["leak"]["more"]]


@pytest.mark.parametrize("function", ["registered", "unused", "collated"])
def test_a_table_of_sqlite(leaks, function) -> None:
    """Its connection holds the functions, though no Python object refers to them."""
    (leak,) = _found(leaks, f"{function}()")
    path = leak["blame"]["path"]
    assert path["holder"].endswith(".CONNECTION, C memory")
    assert path["steps"][-2:] == [
        "CONNECTION (sqlite3.Connection)",
        "C memory of sqlite3.Connection",
    ]
    assert leak["blame"]["lines"][0]["function"] == function


def test_memory_that_is_lost(leaks) -> None:
    """Nothing holds it, whatever C memory lives beside it."""
    (leak,) = _found(leaks, "lost()")
    assert leak["blame"]["path"] is None
    assert leak["blame"]["lines"][0]["function"] == "lost"


def test_memory_that_two_functions_lose(leaks) -> None:
    """It is one leak with both lines of a function, as nothing tells apart who keeps it."""
    (leak,) = _found(leaks, "lost_twice()")
    assert leak["blame"]["path"] is None
    lines = leak["blame"]["lines"]
    assert [line["function"] for line in lines] == ["lost_twice"] * 2
    assert lines[0]["line"] + 1 == lines[1]["line"]
    assert leak["blame"]["bytes_per_call"] == pytest.approx(920, rel=0.1)


def test_memory_that_two_functions_lose_through_a_third(leaks) -> None:
    """Each is a leak by itself, and the function that only passes calls on is none of them."""
    linked, parsed = _found(leaks, "parsed(), linked()")
    for leak, function, size in ((linked, "linked", 3000), (parsed, "parsed", 200)):
        (line,) = leak["blame"]["lines"]
        assert line["function"] == function
        number = 1 + SOURCE[: SOURCE.index("return self._function")].count("\n")
        assert Path(line["through"]).name == f"test_it.py:{number}"
        (rate,) = (r for r in leak["verdict"]["rates"] if r["signal"] == "C heap")
        assert rate["per_call"] == pytest.approx(size, rel=0.1)
    assert linked["blame"]["fingerprint"] != parsed["blame"]["fingerprint"]


def test_memory_of_a_malloc_that_no_tracker_sees(leaks) -> None:
    """The line after which the C heap has grown is named."""
    (leak,) = _found(leaks, "unseen()")
    (line,) = leak["blame"]["lines"]
    assert (line["function"], list(line["left"])) == ("unseen", ["C heap"])
    assert leak["blame"]["path"] is None


def test_memory_that_is_lost_beside_held_memory(leaks) -> None:
    """What an object leads to is a leak by itself."""
    holders = [leak["blame"]["path"] for leak in _found(leaks, "lost(), collated()")]
    assert len(holders) == 2
    assert None in holders


CONNECTED = """
    import atexit
    import sqlite3
    import weakref

    KEPT = []

    def close(reference):
        pass

    class Store:
        def __init__(self):
            self.connection = sqlite3.connect(":memory:")
            self.connection.execute("create table t (a)")
            KEPT.append(self)
            {more}

    def test_it():
        Store()
"""


@pytest.mark.parametrize(
    ("more", "names"),
    [
        pytest.param("pass", ["test_it.KEPT"], id="alone"),
        pytest.param(
            "atexit.register(close, weakref.ref(self))",
            ["atexit", "test_it.KEPT"],
            id="beside-atexit",
        ),
    ],
)
def test_memory_of_an_object_from_several_lines(leaks, more, names) -> None:
    """All that sqlite allocates for a connection is its holder's, on whatever line."""
    leak = leaks(CONNECTED.format(more=more))["test_it"]["leak"]
    parts = {
        part["blame"]["path"]["holder"].partition(",")[0]: part
        for part in (leak, *leak["more"])
    }
    assert sorted(parts) == names
    whole = leak["verdict"]["rates"]
    heap = {
        name: rate["per_call"]
        for name, part in parts.items()
        for rate in part["verdict"]["rates"]
        if rate["signal"] == "C heap"
    }
    assert heap["test_it.KEPT"] > 30_000, whole  # a connection with a table takes 32 KB
    assert sum(heap.values()) - heap["test_it.KEPT"] < 200
