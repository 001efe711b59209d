"""Tests of the two measurements: which types grew, what is disturbed, and the time taken."""

from __future__ import annotations

import functools
import gc
import sys
import time
import weakref

import pytest

from pytest_memguard.attribution import census, sizes
from pytest_memguard.attribution.growth import GrowthFound, HeapGrowth
from pytest_memguard.attribution.values import length_of
from tests.support.fresh_process import alone
from tests.unit.attribution import leaking
from tests.unit.attribution.leaking import CALLS, NAME, found_after, module
from tests.unit.attribution.searches import found_in

HOSTILE = """
class Hostile:
    def _fail(self, *_): raise SystemError("code of the object's was run")
    __getattribute__ = __getattr__ = __repr__ = __len__ = __eq__ = __bool__ = _fail
    __hash__ = __sizeof__ = __iter__ = _fail
    __class__ = property(_fail)
    __dict__ = property(_fail)
KEPT = []
def leak(n): KEPT.append(Hostile())
"""
HOSTILE_CLASS = """
class Meta(type):
    def _fail(self, *_): raise SystemError("code of the class's was run")
    __hash__ = __eq__ = __getattribute__ = _fail
    __instancecheck__ = __subclasscheck__ = _fail
class Hostile(metaclass=Meta): pass
KEPT = []
new = object.__new__
def leak(n): KEPT.append(new(Hostile))
"""
HOSTILE_CONTAINERS = """
def fail(self, *_): raise SystemError("code of the container's was run")
class Rows(list): __len__ = __iter__ = __getitem__ = __bool__ = fail
class Table(dict): __len__ = __iter__ = __getitem__ = __bool__ = items = fail
ROWS, TABLE = Rows(), Table()
def leak(n):
    list.append(ROWS, Request())
    dict.__setitem__(TABLE, n, Request())
"""


def types_of(found) -> dict[str, int]:
    """Type and number of what grew."""
    return {growth.type: growth.count for growth in found.types}


@pytest.mark.parametrize(
    ("source", "types"),
    [
        pytest.param(
            "L = []\ndef leak(n): L.append(Request())",
            {f"{NAME}.Request": CALLS, "list": CALLS},
            id="one-in-every-call",
        ),
        pytest.param(
            "L = []\ndef leak(n): L.extend([set(), set(), set()])",
            {"set": 3 * CALLS},
            id="three-in-every-call",
        ),
        pytest.param(
            "L = []\ndef leak(n):\n  if n % 2: L.append(set())", {}, id="in-every-other-call"
        ),
        pytest.param("L = []\ndef leak(n): L.append(b'x' * 99)", {}, id="not-followed"),
    ],
)
def test_types(source, types):
    """A type is reported if it grew by almost one object per call or more."""
    assert types == types_of(found_in(source))


def test_types_have_sizes():
    """The bytes of a type are those of all its objects that are new."""
    (growth,) = found_in("L = []\ndef leak(n): L.append(set())").types
    assert CALLS * set().__sizeof__() <= growth.size <= CALLS * (set().__sizeof__() + 32)


def test_local_classes_count_together():
    """Classes that every call makes anew are one type with one name."""
    found = found_in(
        "L = []\ndef leak(n):\n  class Local: pass\n  L.append(Local())",
    )
    assert types_of(found)[f"{NAME}.leak.<locals>.Local"] == CALLS
    assert types_of(found)["type"] == CALLS


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("def leak(n): return Request()", id="nothing"),
        pytest.param("def leak(n):\n  r = Request()\n  r.me = r", id="cycles"),
        pytest.param(
            "Q = collections.deque([Request()], maxlen=1)\ndef leak(n): Q.append(Request())",
            id="full-deque",
        ),
        pytest.param(
            "malloc = ctypes.pythonapi.PyMem_RawMalloc\nmalloc.restype = ctypes.c_void_p\n"
            "def leak(n): malloc(ctypes.c_size_t(99))",
            id="not-held-by-python",
        ),
    ],
)
def test_nothing_is_found(source):
    """Without new objects nothing is reported."""
    assert GrowthFound() == found_in(source)


@alone
def test_cycles_are_collected_though_collection_is_off():
    """Garbage that the collector could free is not growth, and the collector stays off."""
    gc.disable()
    try:
        found = leaking.found_in("def leak(n):\n  r = Request()\n  r.me = r")
        assert not gc.isenabled()
    finally:
        gc.enable()
    assert GrowthFound() == found


@alone
def test_cycles_that_are_not_collected():
    """Where garbage is not collected, cycles are new objects without a known holder."""
    gc.disable()
    try:
        with module("def leak(n):\n  r = Request()\n  r.me = r") as made:
            made.leak(0)
            growth = HeapGrowth(seconds=30.0)
            for number in range(CALLS):
                made.leak(number)
            found = growth.finish(calls=CALLS, collect=lambda: None)
    finally:
        gc.enable()
    assert types_of(found)[f"{NAME}.Request"] == CALLS
    assert found.path is None
    assert "they may hold each other" in found.notes[0]


def test_classes_come_before_what_they_are_made_of():
    """Of many types the classes of the program are reported first, builtin ones last."""
    source = (
        "L = []\n"
        "def leak(n):\n"
        "  L.append((threading.Thread(), [], [], [], collections.deque(), [Request()]))"
    )
    types = list(types_of(found_in(source)))
    assert f"{NAME}.Request" in types[:4]
    assert "threading.Thread" in types[:4]
    assert types.index("threading.Thread") < types.index("collections.deque")
    assert types.index("collections.deque") < types.index("list")


@pytest.mark.parametrize(
    ("source", "gained"),
    [
        pytest.param("L = []\ndef leak(n): L.append(Request())", CALLS, id="list"),
        pytest.param(
            "import array\nA = array.array('q')\ndef leak(n): A.extend(A[:0] or [1, 2])",
            2 * CALLS,
            id="array",
        ),
        pytest.param("T = 'a'\ndef leak(n):\n  global T\n  T += 'bcd'", 3 * CALLS, id="text"),
        pytest.param(
            "import atexit\ndef leak(n): atexit.register(print, end='')",
            CALLS,
            id="exit-functions",
        ),
    ],
)
@alone
def test_what_grew_can_be_asked_again(source, gained):
    """The holder at the root of the path is reported with its present length."""
    with module(source) as made:
        found = found_after(made)
        assert found.gained == gained
        before = length_of(found.growing_container)
        made.leak(1)
        assert length_of(found.growing_container) - before == gained // CALLS


@pytest.mark.parametrize(
    ("source", "holder"),
    [
        pytest.param(HOSTILE, ".KEPT", id="instances"),
        pytest.param(HOSTILE_CLASS, ".KEPT", id="metaclass"),
        pytest.param(HOSTILE_CONTAINERS, ".ROWS", id="containers"),
    ],
)
def test_no_code_of_the_objects_is_run(source, holder):
    """Objects whose every method fails are counted and traced like any other."""
    found = found_in(source)
    assert f"{NAME}{holder}" == found.path.holder
    assert found.types


def test_types_whose_metaclass_has_a_hash_are_told_apart_by_id():
    """Types are hashed only as long as that runs no code of their metaclasses."""
    meta = type("Meta", (type,), {"__hash__": lambda _: 1 // 0})
    made = type.__new__(meta, "Made", (), {})
    assert not census._types_hash_alike()
    counted = sizes.Sizes([made(), made(), []], float("inf"))
    assert {name.rpartition(".")[2]: count for name, count in counted.counts.items()} == {
        "Made": 2,
        "list": 1,
    }


def test_a_list_of_ours_at_an_old_address_has_not_grown():
    """An object that is left out is not measured, though its id was there at the start."""
    rows, ours = [], []
    then = sizes.Sizes([rows, ours], float("inf"))
    rows += range(CALLS)
    ours += range(CALLS)
    grown, _ = then.grown(
        [rows, ours], CALLS, set(), float("inf"), count=False, leave_out={id(ours)}
    )
    assert [id(rows)] == [id(container) for container, _ in grown]


@pytest.mark.parametrize("before", [0, 11, 12, 100])
def test_growth_of_short_and_long_containers(before):
    """A container's growth is known however long it was, and one that did not grow is none."""
    rows, others = list(range(before)), list(range(before + CALLS))
    then = sizes.Sizes([rows, others], float("inf"))
    rows += range(CALLS)
    grown, _ = then.grown(
        [rows, others], CALLS, set(), float("inf"), count=False, leave_out=set()
    )
    assert [(id(rows), CALLS)] == [(id(container), growth) for container, growth in grown]


@alone
def test_survivors_are_let_go():
    """The search does not keep what it found alive."""
    source = "L = []\ndef leak(n): L.append(Request())"
    with module(source) as made:
        found = found_after(made)
        assert found.path is not None
        last = weakref.ref(made.L[-1])
        made.L.clear()
        assert last() is None


@alone
def test_local_variables_are_let_go():
    """Reading a suspended generator leaves no copy of its variables behind."""
    source = """
def collect():
    found = []
    while True:
        n = yield
        found.append(Request())
        if n < 0:
            refs.append(weakref.ref(found[-1]))
            found = []
refs = []
RUNNING = collect()
next(RUNNING)
def leak(n): RUNNING.send(n)
"""
    with module(source) as made:
        assert "local variable found" in found_after(made).path.holder
        made.leak(-1)
        assert made.refs[0]() is None


@alone
def test_frozen_heap_is_unfrozen():
    """Objects that were frozen before count like all others, and are thawed."""
    source = "L = []\ndef leak(n): L.append(Request())"
    with module(source) as made:
        gc.freeze()
        found = found_after(made)
    assert f"{NAME}.L" == found.path.holder
    # a collection of CPython 3.12 freezes some objects of its own
    assert gc.get_freeze_count() == 0 or sys.version_info[:2] == (3, 12)


def test_heap_thawed_in_between():
    """If a test thaws the heap itself, no types are counted, and a note says so."""
    found = found_in("L = []\ndef leak(n):\n  L.append(Request())\n  gc.unfreeze()")
    assert found.types == ()
    assert f"{NAME}.L" == found.path.holder
    assert "unfrozen" in found.notes[0]


def test_heap_frozen_in_between():
    """If a test freezes what it made, no types are counted, and a note says so."""
    found = found_in("L = []\ndef leak(n):\n  L.append(Request())\n  gc.freeze()")
    assert found.types == ()
    assert f"{NAME}.L" == found.path.holder
    assert "frozen" in found.notes[0]


@alone
def test_held_by_a_running_function():
    """New objects that a running function holds are attributed to its local variable."""
    kept = []
    gc.collect()
    growth = HeapGrowth(seconds=30)
    for _ in range(CALLS):
        kept.append({1, 2})  # noqa: PERF401  # one by one, as calls would
    found = growth.finish(calls=CALLS)
    assert types_of(found) == {"set": CALLS}
    assert found.path.holder == "test_held_by_a_running_function, local variable kept"
    assert found.path.steps[0].startswith(
        "running test_held_by_a_running_function, test_growth"
    )
    assert found.path.steps[1] == f"local variable kept (list, {CALLS} items)"


@alone
def test_a_bound_of_a_running_functions_cache():
    """A cache that only a running function holds is reported with its bound like any other."""
    cached = functools.lru_cache(maxsize=5000)(lambda number: [number])
    cached(0)
    gc.collect()
    growth = HeapGrowth(seconds=30)
    for number in range(CALLS):
        cached(number + 1)
    path = growth.finish(calls=CALLS).path
    assert path.bounded.startswith("functools.lru_cache(maxsize=5000)")


@pytest.mark.slow
def test_a_million_objects():
    """A heap of a million objects is measured twice in a few seconds of CPU time at most."""
    gc.disable()
    heap = [({"a": number}, [number], {number}) for number in range(250_000)]
    gc.enable()
    assert len(heap) * 3 <= len(gc.get_objects())
    source = "L = []\ndef leak(n): L.append(Request())"
    with module(source) as made:
        made.leak(0)
        gc.collect()
        started = time.thread_time()
        growth = HeapGrowth()
        for number in range(CALLS):
            made.leak(number)
        found = growth.finish(calls=CALLS)
        taken = time.thread_time() - started
    assert f"{NAME}.L" == found.path.holder
    assert taken < 5


def test_time_limit_is_said():
    """Where the time is over before everything was measured, a note says so."""
    found = found_in("L = []\ndef leak(n): L.append(Request())", seconds=0)
    assert any("too large for the time" in note for note in found.notes)
    assert f"{NAME}.L" == found.path.holder


def test_a_bound_is_reported_though_not_all_was_measured():
    """On a heap too large for the time, a cache that fills is still known as one."""
    cache = "import functools\n@functools.lru_cache(maxsize=500)\n"
    found = found_in(f"{cache}def leak(n): return Request()", seconds=0)
    assert any("too large for the time" in note for note in found.notes)
    assert "functools.lru_cache(maxsize=500)" in found.path.bounded
    assert found.gained >= CALLS
