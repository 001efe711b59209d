"""Leaks that no Python object holds: one name each, whatever grows beside them."""

from __future__ import annotations

import pytest

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
