"""Leaks that no Python object holds: one name each, whatever grows beside them."""

from __future__ import annotations

import pytest

from tests.plugin.leaky import JSON

SOURCE = """
import ctypes, functools, itertools

N = itertools.count(1000)  # small numbers are no new objects
LOSE = ctypes.pythonapi.Py_IncRef
LOSE.argtypes = [ctypes.py_object]
TAKE = ctypes.pythonapi.PyMem_RawMalloc
TAKE.restype = ctypes.c_void_p


@functools.lru_cache(maxsize=9000)
def cached(n):
    return [n]


def lose():
    LOSE({"a": [object()]})


def take():
    TAKE(500)


def text():
    LOSE("x" * 300 + str(next(N)))
"""
ALONE: dict[str, tuple[str, float]] = {}
"""What each of them is by itself, found out once."""
BYTES = {"lose": 264, "take": 512, "text": 353}


def _found(leaks, *bodies: str) -> dict[str, tuple[str, float]]:
    """Fingerprint and bytes per call by the function that leaks, of a test for each body."""
    tests = (f"def test_{number}(): {body}\n" for number, body in enumerate(bodies))
    found = [test["leak"] for test in leaks(SOURCE + "".join(tests), calls=300).values()]
    assert {leak["verdict"]["state"] for leak in found} == {"leaking"}
    blames = [part["blame"] for leak in found for part in (leak, *leak["more"])]
    return {
        diagnosis["lines"][0]["function"]: (
            diagnosis["fingerprint"],
            diagnosis["bytes_per_call"],
        )
        for diagnosis in blames
    }


@pytest.mark.parametrize(
    ("body", "functions"),
    [
        pytest.param("lose(); take()", ("lose", "take"), id="objects-and-memory"),
        pytest.param("text(); lose()", ("lose", "text"), id="objects-and-text"),
        pytest.param("take(); text()", ("take", "text"), id="memory-and-text"),
        pytest.param("lose(); cached(next(N))", ("lose",), id="beside-a-cache"),
        pytest.param("take(); cached(next(N))", ("take",), id="memory-beside-a-cache"),
    ],
)
def test_what_nothing_holds(leaks, body, functions):
    """Each has the name that it has alone, and its bytes, whatever grows beside it."""
    for function in functions:
        if function not in ALONE:
            alone = _found(leaks, f"{function}()")
            assert list(alone) == [function]
            ALONE.update(alone)
    beside = _found(leaks, body)
    assert {name: found[0] for name, found in beside.items()} == {
        function: ALONE[function][0] for function in functions
    }
    for function, (_, size) in beside.items():
        assert size == pytest.approx(BYTES[function], rel=0.2)


OF_MANY = """
import ctypes, sys

LOSE = ctypes.pythonapi.Py_IncRef
LOSE.argtypes = [ctypes.py_object]


class Own:
    pass


def steps():
    own = [Own()]
    yield own


def test_frame():
    here = Own()
    LOSE(sys._getframe())
    assert here


def test_traceback():
    try:
        raise ValueError
    except ValueError as error:
        LOSE(error.__traceback__)


def test_generator():
    made = steps()
    next(made)
    LOSE(made)


def test_tuple():
    LOSE(([Own()], [[object()]], {"a": {"b": Own()}}))
"""

C_CODE_ALONE = "C code alone holds the new objects: each call leaves it a reference to "
LOST = {
    "test_frame": "frame of test_frame",
    "test_traceback": "traceback",
    "test_generator": "generator",
    "test_tuple": "tuple",
}


def test_objects_that_lead_to_many_others(run, written):
    """Each is one leak from a line of the test, though a frame keeps those that called it."""
    run(OF_MANY, "--mem-leak-check", "--mem-leak-calls=300", JSON).assert_outcomes(failed=4)
    leaks = {name: test["leak"] for name, test in written().items()}
    for name, leak in leaks.items():
        blame = leak["blame"]
        assert (name, leak["more"]) == (name, [])
        assert {line["function"] for line in blame["lines"]} <= {name, "steps"}
        assert blame["lines"][0]["function"] == name
        (note,) = blame["notes"]
        assert note == f"{C_CODE_ALONE}a {LOST[name]}"
        each = {growth["type"]: growth["count"] / blame["calls"] for growth in blame["types"]}
        assert each[name.removeprefix("test_")] >= 1
        if name in {"test_frame", "test_traceback"}:
            assert each["frame"] > 10
            size = sum(growth["size"] for growth in blame["types"]) / blame["calls"]
            assert blame["bytes_per_call"] == pytest.approx(size, rel=0.2)


FILLED_ELSEWHERE = """
import collections, ctypes

LOSE = ctypes.pythonapi.Py_IncRef
LOSE.argtypes = [ctypes.py_object]


def make():
    return {kind}()


def fill(made):
    made.{fill}


def test_lost():
    made = make()
    fill(made)
    LOSE(made)
"""


@pytest.mark.parametrize(
    ("kind", "fill"),
    [
        pytest.param("set", "update(range(100))", id="set"),
        pytest.param("collections.deque", "extend([None] * 200)", id="deque"),
    ],
)
def test_an_object_and_its_buffer(leaks, kind, fill):
    """A lost object has the line that made it, though its buffer is from another line."""
    source = FILLED_ELSEWHERE.format(kind=kind, fill=fill)
    (test,) = leaks(source, calls=300).values()
    lines = {line["function"]: line["count"] for line in test["leak"]["blame"]["lines"]}
    assert lines.keys() == {"make", "fill"}
    assert lines["make"] >= test["leak"]["blame"]["calls"]


def test_tuples_of_a_lost_list(leaks):
    """Tuples have the line that makes them, as the texts in them have theirs."""
    source = """
        import ctypes

        LOSE = ctypes.pythonapi.Py_IncRef
        LOSE.argtypes = [ctypes.py_object]
        TEXT = " ".join(f"word-{n}" for n in range(8))

        def test_lost():
            rows = []
            for word in TEXT.split(" "):
                row = (word, word)
                rows.append(row)
            LOSE(rows)
    """
    (test,) = leaks(source, calls=300).values()
    blame = test["leak"]["blame"]
    lines = {line["line"]: line["count"] / blame["calls"] for line in blame["lines"]}
    words, tuples = 10, 11  # as the file has them
    assert lines[words] == pytest.approx(8, abs=1.5)
    assert lines[tuples] == pytest.approx(8, abs=1.5)


HANDED_ON = """
import ctypes, itertools
import numpy

LOSE = ctypes.pythonapi.Py_IncRef
LOSE.argtypes = [ctypes.py_object]
KEPT = []
N = itertools.count()
HELPERS = (
    @
)


def borrow(array):
    return [array.copy() for _ in range(3)]


def test_lost():
    array = numpy.ones((2, 3))
    for _ in range(8):
        LOSE(numpy.zeros((2, 3)))
        borrow(array)


def test_lost_beside_many_lines():
    array = numpy.ones((2, 3))
    for _ in range(8):
        LOSE(numpy.zeros((2, 3)))
        HELPERS[next(N) % len(HELPERS)](array)


def test_held():
    array = numpy.ones((2, 3))
    for _ in range(8):
        KEPT.append(numpy.zeros((2, 3)))
        borrow(array)
""".replace("@", "lambda array: [array + 1, array + 2],\n    " * 40)


def test_memory_that_a_library_hands_on(leaks):
    """The memory of an array is from its own line, though numpy had it for another before."""
    for name, test in leaks(HANDED_ON, calls=300).items():
        blame = test["leak"]["blame"]
        (line,), size = blame["lines"], blame["bytes_per_call"]
        assert (name, line["function"], test["leak"]["more"]) == (name, name, [])
        assert line["size"] / blame["calls"] > 0.9 * size
