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
BESIDE = "def test_it():\n    {leak}()\n    {other}\n"
BYTES = {"lose": 264, "take": 512, "text": 353}


def _leaks(run, written, leak: str, other: str) -> dict[str, tuple[str, float]]:
    """Fingerprint and bytes per call by the function that leaks."""
    run(SOURCE + BESIDE.format(leak=leak, other=other), "--mem-leak-check", JSON)
    found = written()["test_it"]["leak"]
    assert found["verdict"]["state"] == "leaking"
    return {
        part["blame"]["lines"][0]["function"]: (
            part["blame"]["fingerprint"],
            part["blame"]["bytes_per_call"],
        )
        for part in (found, *found["more"])
    }


@pytest.mark.parametrize("leak", BYTES)
@pytest.mark.parametrize("other", ["lose()", "take()", "text()"])
def test_two_that_nothing_holds(run, written, leak, other):
    """Each of the two has its name and its bytes, with and without the other."""
    alone = _leaks(run, written, leak, "pass")
    beside = _leaks(run, written, leak, other)
    assert beside.keys() == {leak, other.removesuffix("()")}
    assert beside[leak][0] == alone[leak][0]
    for function, (_, size) in beside.items():
        assert size == pytest.approx(BYTES[function] * (2 if len(beside) == 1 else 1), rel=0.2)


@pytest.mark.parametrize("leak", BYTES)
def test_beside_a_cache_that_fills(run, written, leak):
    """A cache that fills changes neither name nor number."""
    alone = _leaks(run, written, leak, "pass")
    beside = _leaks(run, written, leak, "cached(next(N))")
    assert beside.keys() == {leak}
    assert beside[leak] == (alone[leak][0], pytest.approx(alone[leak][1], rel=0.2))


def test_beside_a_dict_that_is_rotated(run, written):
    """What gets new items in the place of others holds nothing of what is lost."""
    source = """
import ctypes, collections, itertools

N = itertools.count(1000)
LOSE = ctypes.pythonapi.Py_IncRef
LOSE.argtypes = [ctypes.py_object]
WINDOW = collections.OrderedDict((n, [n]) for n in range(500))


def lose():
    LOSE({"a": [object()]})


def test_it():
    WINDOW.popitem(last=False)
    n = next(N)
    WINDOW[n] = [n]
    lose()
"""
    run(source, "--mem-leak-check", "--mem-leak-calls=300", JSON)
    leak = written()["test_it"]["leak"]
    assert leak["verdict"]["state"] == "leaking"
    assert leak["blame"]["path"] is None
    assert [line["function"] for line in leak["blame"]["lines"]] == ["lose"]
