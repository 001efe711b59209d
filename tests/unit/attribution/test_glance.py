"""Tests of the search without measuring: it finds the same, or says that it is not sure."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_memguard.attribution.growth import GrowthFound
from tests.unit.attribution.leaking import CALLS, NAME
from tests.unit.attribution.searches import found_in

CACHE = "import functools\n@functools.lru_cache(maxsize=500)\ndef cached(n): return Request()\n"
OWNER = "class Pool:\n  def __init__(self): self.maxsize, self.free = 900, []\nP = Pool()\n"


@pytest.mark.parametrize(
    ("source", "holder"),
    [
        pytest.param("L = []\ndef leak(n): L.append(Request())", "L", id="list"),
        pytest.param("D = {}\ndef leak(n): D[n] = Request()", "D", id="values"),
        pytest.param("D = {}\ndef leak(n): D[Request()] = Request()", "D", id="entries"),
        pytest.param("S = set()\ndef leak(n): S.add(Request())", "S", id="set"),
        pytest.param(
            "Q = collections.deque(maxlen=900)\ndef leak(n): Q.append([n])", "Q", id="deque"
        ),
        pytest.param(f"{CACHE}def leak(n): cached(n)", "cached", id="bounded-cache"),
        pytest.param(f"{OWNER}def leak(n): P.free.append([])", "P.free", id="bounded-pool"),
        pytest.param(
            "A, B = [], []\ndef leak(n):\n  r = Request()\n  B.append(r)\n  A.append(r)",
            "A",
            id="two-alike",
        ),
        pytest.param(
            "A, B = [], []\ndef leak(n):\n  A.append([set()])\n  B.append(Request())",
            "A",
            id="two-that-differ",
        ),
        pytest.param(
            "A, B = [], []\ndef leak(n):\n"
            "  A.extend([[set()], [set()]])\n  B.extend([] for _ in range(12))",
            "B",
            id="the-first-examples-are-all-held-by-one",
        ),
        pytest.param(
            "L = []\ndef leak(n):\n  r = Request()\n  r.me = r.headers\n  r.headers.append(r)\n"
            "  L.append(r)",
            "L",
            id="cycles",
        ),
    ],
)
def test_the_same_is_found(source, holder):
    """Where new objects are held by what was there, nothing has to be measured for it."""
    glance, measured = found_in(source, measures=False), found_in(source)
    assert glance.sure
    assert glance == replace(measured, added=glance.added)  # tables are measured in both states
    assert holder in glance.path.holder.removeprefix(f"{NAME}.")


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("def leak(n): return Request()", id="nothing"),
        pytest.param("L = []\ndef leak(n): L.append(b'x' * 99)", id="not-followed"),
        pytest.param(
            "Q = collections.deque([[n] for n in range(99)], maxlen=99)\n"
            "def leak(n): Q.extend([[n], [n]])",
            id="replaced",
        ),
        pytest.param(
            "L, Q = [], collections.deque([[n] for n in range(99)], maxlen=99)\n"
            "def leak(n):\n  Q.extend([[n], [n]])\n  L.append([n])",
            id="some-replaced",
        ),
        pytest.param(
            "HEAD = None\ndef leak(n):\n  global HEAD\n  HEAD = [HEAD]", id="in-no-container"
        ),
        pytest.param(
            "L = []\ndef leak(n):\n  L.append(Request())\n  gc.unfreeze()",
            id="thawed-meanwhile",
        ),
    ],
)
def test_what_has_to_be_measured(source):
    """Where new objects alone do not show their holder, the search says it is not sure."""
    assert GrowthFound(sure=False) == found_in(source, measures=False)


def test_entries_are_counted_once():
    """An entry of a dict is one, though key and value are new."""
    found = found_in("D = {}\ndef leak(n): D[Request()] = Request()", measures=False)
    assert found.gained == CALLS
