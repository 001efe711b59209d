"""Tests of the division of a leak among its holders: what is renewed is none of them."""

from __future__ import annotations

import gc

from pytest_memguard.recording.causes import causes_of
from tests.fresh import alone
from tests.unit.attribution.leaking import NAME, module

RENEWED = """
KEPT, LATEST = [], None


def leak():
    global LATEST
    LATEST = [{"n": [n]} for n in range(60)]
    LATEST.append(LATEST)
    KEPT.append((object, [], {}))
"""


ROUNDS, SEEMING = 12, 3
"""Where new objects lie in the memory of old ones, they may seem to be of several calls."""


@alone
def test_a_structure_that_each_call_renews() -> None:
    """Its blocks are the latest call's: they are no growth, whatever seems to hold them."""
    renewed = 0
    with module(RENEWED) as made:
        for _ in range(ROUNDS):
            made.leak()
            gc.collect()
            gc.freeze()
            causes = causes_of(made.leak, 16, 16, gc.collect, ())
            gc.unfreeze()
            named = {cause.path.holder for cause in causes or () if cause.path is not None}
            assert f"{NAME}.KEPT" in named
            renewed += f"{NAME}.LATEST" in named
    assert renewed <= SEEMING


OLD_POINTERS = """
import ctypes

class Thing:
    pass

api = ctypes.pythonapi
api.Py_IncRef.argtypes = [ctypes.py_object]
api.PyMem_RawMalloc.restype = ctypes.c_void_p
LATEST = None

def lose():
    global LATEST
    LATEST = [Thing() for _ in range(4)]
    api.Py_IncRef(LATEST)

def take():
    block = api.PyMem_RawMalloc(1000)
    ctypes.memset(block, 0, 1000)
    ctypes.c_void_p.from_address(block + 16).value = POINTER

def leak():
    global POINTER
    lose()
    POINTER = POINTER or id(LATEST)
    take()

POINTER = 0
"""


@alone
def test_c_memory_with_pointers_to_objects_of_one_call() -> None:
    """C code writes nothing to memory it took: the few objects in there are another leak."""
    with module(OLD_POINTERS) as made:
        made.leak()
        made.POINTER = 0
        gc.collect()
        gc.freeze()
        causes = causes_of(made.leak, 16, 16, gc.collect, ())
        gc.unfreeze()
    assert causes is not None
    lost, of_c = sorted(causes, key=lambda cause: cause.per_call["C heap"])
    assert lost.path is None
    assert of_c.path is None
    assert of_c.per_call["C heap"] >= 1000


RENEWED_ONE_BY_ONE = """
import ctypes

class Method:
    pass

keep = ctypes.pythonapi.Py_IncRef
keep.argtypes = [ctypes.py_object]
NUMBERS = iter(range(1000, 100_000))
ALL = [{"bound": Method()} for _ in range(15)]

def leak():
    number = next(NUMBERS)
    ALL[number % len(ALL)]["bound"] = Method()
    keep(b"%d" % number)
"""


@alone
def test_objects_that_are_renewed_one_by_one() -> None:
    """Many containers have one new object each, and as many others are gone: no leak."""
    with module(RENEWED_ONE_BY_ONE) as made:
        made.leak()
        gc.collect()
        gc.freeze()
        causes = causes_of(made.leak, 16, 16, gc.collect, ())
        gc.unfreeze()
    assert causes is not None
    (lost,) = causes
    assert lost.path is None
    assert not lost.holding.types
