"""Tests of the division of a leak among its holders: what is renewed is none of them."""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from io import BufferedWriter, FileIO, TextIOWrapper
from threading import Thread
from types import SimpleNamespace

import pytest

from pytest_memguard.attribution.division import Division
from pytest_memguard.attribution.holding import Holding
from pytest_memguard.attribution.leftover import Heap, _holds
from pytest_memguard.attribution.uppermost import from_above
from pytest_memguard.probes.block_tracker import Block, BlockTracker
from pytest_memguard.probes.heap import TrackerFolder
from pytest_memguard.probes.process_memory import memory_reader
from pytest_memguard.recording.causes import Cause, _resources, causes_of, memory_of
from tests.support.fresh_process import alone
from tests.unit.attribution.leaking import NAME, module


def _causes(leak: Callable[[], None]) -> list[Cause]:
    """What keeps what of 16 calls, in the form that a check passes on."""
    leak()
    gc.collect()
    gc.freeze()
    causes = causes_of(leak, 16, 16, gc.collect, ())
    gc.unfreeze()
    assert causes is not None
    return causes


def test_objects_of_classes_that_each_call_makes() -> None:
    """Classes of one name are one kind: each object of them may have a thread, say."""
    kinds = tuple(type("Waiter", (Thread,), {}) for _ in range(16))
    holding = Holding(path=None, pieces=(), types=(), objects=kinds)
    assert _resources(holding, 16)["Python threads"] == 1


def test_threads_of_two_classes() -> None:
    """Each object with the methods of a thread has one; the layers of a file share it."""
    kinds = (type("First", (Thread,), {}), type("Second", (Thread,), {}))
    layers = (TextIOWrapper, BufferedWriter, FileIO)
    holding = Holding(path=None, pieces=(), types=(), objects=kinds + layers)
    found = _resources(holding, 1)
    assert found["Python threads"] == found["native threads"] == 2
    assert found["open files"] == 1


def test_blocks_that_only_the_tracker_makes() -> None:
    """An object of the frame that a thread waits in is there only while blocks are tracked."""
    block = Block(
        address=0,
        size=56,
        stack=(("wait", "app.py", 3),),
        native=(),
        of_python=True,
    )
    tracker = replace(block, stack=(("__set__", find_spec("memray").origin, 9), *block.stack))
    pieces = (block, replace(block, of_instruments=True), tracker)
    holding = Holding(path=None, pieces=pieces, types=(), objects=())
    assert memory_of(holding, 1) == {"blocks": 1.0, "C heap": 0.0, "USS": 64.0}


RENEWED = """
KEPT, LATEST = [], None


def leak():
    global LATEST
    LATEST = [{"n": [n]} for n in range(60)]
    LATEST.append(LATEST)
    KEPT.append((object, [], {}))
"""


ROUNDS = 3


@pytest.mark.slow
@alone
def test_a_structure_that_each_call_renews() -> None:
    """Blocks of a renewed structure are those of the latest call: they are not growth."""
    with module(RENEWED) as made:
        for _ in range(ROUNDS):
            causes = _causes(made.leak)
            named = {cause.path.holder for cause in causes if cause.path is not None}
            assert f"{NAME}.KEPT" in named
            assert f"{NAME}.LATEST" not in named


OLD_POINTERS = """
import ctypes, itertools

class Thing:
    pass

api = ctypes.pythonapi
api.Py_IncRef.argtypes = [ctypes.py_object]
api.PyMem_RawMalloc.restype = ctypes.c_void_p

def lose():
    lost = LOST
    api.Py_IncRef(lost)
    return id(lost)

def take():
    block = api.PyMem_RawMalloc(1000)
    ctypes.memset(block, 0, 1000)
    ctypes.c_void_p.from_address(block + 16).value = POINTER

def leak():
    global POINTER
    address = lose()
    POINTER = POINTER if next(CALLS) > FEW else address
    take()

CALLS, NUMBERS = itertools.count(), itertools.count(1000)
POINTER = 0
"""


@pytest.mark.parametrize(
    ("lost", "calls", "types"),
    [
        ("[Thing() for _ in range(4)]", 1, {f"{NAME}.Thing", "list"}),
        ("b'%d' % next(NUMBERS)", 3, set()),
    ],
    ids=["objects", "text"],
)
@alone
def test_c_memory_with_pointers_to_what_a_few_calls_lost(lost, calls, types) -> None:
    """C code writes nothing to memory it took: the few blocks in there are another leak."""
    with module(OLD_POINTERS.replace("LOST", lost).replace("FEW", str(calls))) as made:
        causes = _causes(made.leak)
    one, of_c = sorted(causes, key=lambda cause: cause.per_call["C heap"])
    assert one.path is None
    assert one.per_call["blocks"] > 0.9
    assert of_c.path is None
    assert of_c.per_call["C heap"] >= 1000
    assert {kind.type for kind in one.holding.types} == types


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
        causes = _causes(made.leak)
    (lost,) = causes
    assert lost.path is None
    assert not lost.holding.types


OF_A_CLASS = """
class Wrapper:
    def __init__(self, of):
        self.of = of
        self.name = "wrapper"

KEPT = []

def leak():
    KEPT.append(Wrapper(Wrapper))
"""


@alone
def test_values_of_attributes_the_first_of_which_is_a_class() -> None:
    """Values belong to the instance, though their block looks like one of that class."""
    with module(OF_A_CLASS) as made:
        causes = _causes(made.leak)
    (kept,) = causes
    assert kept.path is not None
    blocks = 1 if sys.version_info >= (3, 13) else 2  # newer versions have them in one block
    assert kept.per_call["blocks"] == pytest.approx(blocks, abs=0.2)


OF_A_TRACEBACK = """
ERROR = ValueError()


class Wrapper:
    def __init__(self, of):
        self.of = of
        self.more = [self]
        vars(self)["last"] = {"n": [of]}


def leak():
    one = Wrapper(Wrapper)
    other = [one, one]
    third = [other]
    try:
        raise ERROR
    except ValueError:
        pass
"""


@alone
def test_what_the_frames_of_a_traceback_hold() -> None:
    """All that the frames hold is one leak, with each line, though all of it is in cycles."""
    with module(OF_A_TRACEBACK) as made:
        causes = _causes(made.leak)
    (kept,) = causes
    assert kept.path is not None
    assert kept.path.holder == f"{NAME}.ERROR.__traceback__"
    lines = Counter(piece.stack[0][2] for piece in kept.pieces if piece.stack)
    made_at = min(lines) + 5
    assert lines[made_at] / 16 == pytest.approx(2, abs=1.1)  # the object, and its values
    assert min(lines[made_at + more] for more in (1, 2)) >= 16  # the lists


LOST = """
def leak():
    ctypes.pythonapi.Py_IncRef(ctypes.py_object([object(), object()]))
"""


@pytest.mark.parametrize("seconds", [0.0, 30.0])
@alone
def test_a_division_that_is_cut_short(seconds) -> None:
    """If not all containers were read, the result says so."""
    with module(LOST) as made:
        made.leak()
        division = Division(seconds=seconds)
        tracker = BlockTracker(TrackerFolder())
        tracker.start()
        for _ in range(16):
            made.leak()
        tracker.stop()
        found = division.finish(
            tracker.read, memory_reader(), calls=16, parts=[16], collect=gc.collect
        )
    assert found
    assert {one.is_cut_short for one in found} == {not seconds}


KEPT_BY_C = """
KEPT = {}


class Kind:
    def __init__(self):
        self.fields = [object(), object(), object()]


def leak():
    kind = Kind()
    KEPT[len(KEPT)] = [kind, [object(), object()]]
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(kind))
"""
KEPT_BY_C_BESIDE_WEAK = """
KEPT = {}


def leak():
    class Kind:
        pass

    KEPT[len(KEPT)] = [weakref.ref(Kind), Kind, [object() for _ in range(12)]]
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(Kind))
"""
KEPT_BY_CYCLES = """
KEPT = {}
CODE = (lambda: None).__code__


class Kind:
    pass


def leak():
    kind = Kind()
    kind.code = CODE.replace(co_consts=(None, kind))
    KEPT[len(KEPT)] = [kind, [object(), object()]]
"""
KEPT_BY_NONE_OTHER = """
KEPT = {}


def leak():
    @functools.lru_cache(None)
    def kind(number):
        return [kind, object()]

    kind(len(KEPT))
    KEPT[len(KEPT)] = kind
    KEPT[len(KEPT)] = kind.__wrapped__
"""


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (KEPT_BY_C, "Kind objects"),
        (KEPT_BY_C_BESIDE_WEAK, "type objects"),
        (KEPT_BY_CYCLES, "tuple objects"),
        (KEPT_BY_NONE_OTHER, ""),
    ],
    ids=["references", "references-beside-weak-ones", "cycles", "nothing"],
)
@alone
def test_what_would_stay_if_the_holder_let_go(source, words) -> None:
    """C code may have a reference too, or an object that the collector does not follow."""
    with module(source) as made:
        (kept,) = _causes(made.leak)
    assert kept.path is not None
    assert kept.path.holder == f"{NAME}.KEPT"
    note = kept.kept_by_c(kept.path)
    assert words in note
    assert bool(words) == ("would stay if it let go" in note)
    share = kept.holding.kept_by_c.share if kept.holding.kept_by_c is not None else 0.5
    assert 0.3 < share < 0.8


def test_cycles_come_before_what_they_refer_to() -> None:
    """Whichever block of a cycle comes first, it has all that the cycle refers to."""
    below = {0: {3}, 1: {2, 0}, 2: {1}, 3: set()}
    marker = SimpleNamespace(
        below=below.__getitem__,
        is_object=lambda index: index in below,
        is_plain_dict=lambda index: index == 0,
    )
    pieces = [SimpleNamespace(stack=("line",))] * 4
    assert from_above(set(below), marker, pieces) == [1, 2, 0, 3]


@pytest.mark.parametrize(("has", "excuses"), [({0}, False), (set(range(9)), True)])
def test_what_a_holder_must_have_to_excuse_growth(has, excuses) -> None:
    """One block may lie where others were lost; the test runner then keeps it alone."""
    old, new = object(), object()
    heap = Heap()
    heap.held = set(range(12))
    chain = SimpleNamespace(objects=(old, new))
    new_objects = SimpleNamespace(ids={id(new)})
    marker = SimpleNamespace(held_by=lambda held: has if held is old else set())
    assert _holds(chain, heap, new_objects, marker) == excuses
