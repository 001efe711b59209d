"""Tests of how a leak is divided among what was found to keep it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import _pytest.nodes
import pytest

from pytest_memguard.attribution.holding import Holding
from pytest_memguard.attribution.leftover import Heap, _strays
from pytest_memguard.model.leaks import Rate, RetentionPath, Verdict
from pytest_memguard.probes.block_tracker import Block
from pytest_memguard.recording.causes import Cause
from pytest_memguard.recording.parts import parts_of
from pytest_memguard.recording.unexplained import is_left

OWN = ("lose", "/app/io.py", 7)
OTHER = ("load", "/app/io.py", 30)
FOREIGN = ("makereport", "/lib/runner.py", 12)
OF_PYTEST = ("makereport", _pytest.nodes.__file__, 12)
CALLS = 16


def _block(frame, size=64, *, of_python=True, native=()) -> Block:
    return Block(address=0, size=size, stack=(frame,), native=native, of_python=of_python)


def _lost(*blocks: Block, heap: float = 0.0) -> Cause:
    """Blocks that nothing holds."""
    holding = Holding(path=None, pieces=blocks, types=(), objects=())
    of_python = sum(block.of_python for block in blocks)
    per_call = {"blocks": of_python / CALLS, "C heap": heap, "USS": 0.0}
    return Cause(path=None, pieces=blocks, holding=holding, calls=CALLS, per_call=per_call)


def _held(*blocks: Block) -> Cause:
    path = RetentionPath(steps=("module",), holder="app.CACHE")
    cause = _lost(*blocks)
    holding = Holding(path=path, pieces=blocks, types=(), objects=())
    return Cause(
        path=path, pieces=blocks, holding=holding, calls=CALLS, per_call=cause.per_call
    )


def _verdict(**per_call: float) -> Verdict:
    signals = {"blocks": "blocks", "heap": "C heap"}
    rates = tuple(
        Rate(signal=signals[name], per_call=rate, low=rate, high=rate)
        for name, rate in per_call.items()
    )
    return Verdict(state="leaking", calls=100, rates=rates)


def _divided(causes, verdict, excluded=()) -> list[tuple[str, dict[str, float]]]:
    parts = parts_of(causes, verdict, excluded, lambda: None, lambda: None)
    return [
        (
            part.diagnosis.lines[0].function if part.diagnosis.lines else "",
            {rate.signal: rate.per_call for rate in part.verdict.rates},
        )
        for part in parts
    ]


@pytest.mark.parametrize(
    ("causes", "parts"),
    [
        pytest.param(
            [_lost(*[_block(OWN)] * 48), _lost(*[_block(OWN)] * 16)],
            [("lose", {"blocks": 4.0})],
            id="of-one-line",
        ),
        pytest.param(
            [_lost(*[_block(OWN)] * 48, *[_block(FOREIGN)] * 4), _lost(*[_block(OWN)] * 12)],
            [("lose", {"blocks": 4.0})],
            id="with-memory-used-before",
        ),
        pytest.param(
            [_lost(*[_block(OWN)] * 48), _lost(*[_block(OTHER)] * 16)],
            [("lose", {"blocks": 3.0}), ("load", {"blocks": 1.0})],
            id="of-two-lines",
        ),
        pytest.param(
            [_lost(*[_block(OF_PYTEST)] * 18), _lost(*[_block(OWN)] * 48)],
            [("lose", {"blocks": 4.0})],
            id="beside-garbage-of-pytest",
        ),
    ],
)
def test_what_nothing_holds(causes, parts) -> None:
    """Blocks that nothing holds are one leak for each line that allocated them."""
    assert _divided(causes, _verdict(blocks=4.0)) == parts


def test_c_memory_beside_what_is_held() -> None:
    """C memory that belongs to an object with a holder is no leak of its own."""
    native = [_block(OWN, 60, of_python=False)] * 16
    causes = [_held(*[_block(OWN)] * 32), _lost(*native, heap=77.0)]
    parts = _divided(causes, _verdict(blocks=2.0, heap=77.0))
    assert [rates for _, rates in parts] == [{"blocks": 2.0, "C heap": 77.0}]


@pytest.mark.parametrize(
    ("objects", "calls", "parts"),
    [
        pytest.param(32, 16, [{"blocks": 2.0, "C heap": 160.0}], id="beside-lost-objects"),
        pytest.param(0, 16, [{"C heap": 160.0}], id="of-two-functions"),
        pytest.param(0, 5, [{"C heap": 120.0}, {"C heap": 40.0}], id="in-every-third-call"),
    ],
)
def test_c_memory_that_nothing_holds(objects, calls, parts) -> None:
    """C memory belongs to objects lost at its line, or is one leak of all each call leaves."""
    native = [_block(OWN, 40, of_python=False, native=("f (C)",))] * calls
    others = [_block(OWN, 120, of_python=False, native=("g (C)",))] * 16
    lost = _lost(*[_block(OWN)] * objects, *others, heap=120.0)
    verdict = _verdict(blocks=2.0, heap=160.0) if objects else _verdict(heap=160.0)
    divided = _divided([lost, _lost(*native, heap=40.0)], verdict)
    assert [rates for _, rates in divided] == parts


def _native(parsed: int, linked: int) -> Cause:
    """C memory that two functions have taken, and so many blocks of each."""
    blocks = [_block(OWN, 120, of_python=False)] * parsed
    blocks += [_block(OTHER, 56, of_python=False)] * linked
    return _lost(*blocks, heap=(128 * parsed + 64 * linked) / CALLS)


@pytest.mark.parametrize(
    ("causes", "parts"),
    [
        pytest.param(
            [_native(32, 0), _native(0, 16)],
            [("lose", {"C heap": 256.0}), ("load", {"C heap": 64.0})],
            id="each-call",
        ),
        pytest.param(
            [_native(30, 1), _native(2, 15)],
            [("lose", {"C heap": 256.0}), ("load", {"C heap": 64.0})],
            id="some-led-to-by-the-other",
        ),
        pytest.param(
            [_native(24, 0), _native(0, 32)], [("lose", {"C heap": 320.0})], id="unevenly"
        ),
        pytest.param(
            [_native(32, 16), _native(0, 16)], [("lose", {"C heap": 384.0})], id="as-one"
        ),
    ],
)
def test_c_memory_of_two_functions(causes, parts) -> None:
    """It is a leak of each if every call leaves as much of both, whatever leads to it."""
    heap = sum(cause.per_call["C heap"] for cause in causes)
    assert _divided(causes, _verdict(heap=heap)) == parts


def test_more_than_grows_is_none_of_it() -> None:
    """A cause that keeps more than there is does not explain what grows."""
    parts = _divided([_lost(*[_block(OWN)] * 64)], _verdict(heap=500.0))
    assert [rates for _, rates in parts] == [{"C heap": 500.0}]


def test_the_only_cause_beside_what_is_left_out() -> None:
    """A cache that seems to keep more than there is is not what leaks."""
    native = [_block(OWN, 500, of_python=False)] * 16
    causes = [_lost(*native, heap=806.0)]
    parts = _divided(causes, _verdict(heap=512.0), excluded=[_held(*[_block(OTHER)] * 16)])
    assert parts == [("lose", {"C heap": 512.0})]


def _grown(*containers: object) -> Cause:
    """A block per call in some containers that grew by one item per call."""
    cause = _held(*[_block(OWN)] * CALLS)
    holding = replace(
        cause.holding,
        growing_container=containers[0],
        gained=CALLS,
        containers=tuple(containers),
    )
    return replace(cause, holding=holding)


def test_a_copy_in_the_place_of_another_is_no_leak() -> None:
    """What a holder keeps without growing has to fit into what grows."""
    renewed = _held(*[_block(OTHER)] * 7 * CALLS)
    assert _divided([renewed, _grown({})], _verdict(blocks=1.0)) == [("lose", {"blocks": 1.0})]
    # by itself it is what there is to say
    parts = _divided([renewed], _verdict(blocks=1.0))
    assert parts == [("load", {"blocks": 1.0})]


@pytest.mark.parametrize(
    ("dicts", "heap", "left"),
    [(1, 40, False), (1, 90, True), (2, 90, False), (2, 400, True)],
)
def test_tables_of_what_grows(dicts, heap, left) -> None:
    """Tables grow by leaps, which a few calls rarely show, and are no leak of their own."""
    containers = [dict.fromkeys(range(3000)) for _ in range(dicts)]
    (rate,) = _verdict(heap=float(heap)).rates
    assert is_left(rate, [_grown(*containers)]) is left


@pytest.mark.parametrize("tables", [set(), {16}])
def test_strays(tables) -> None:
    """A single large block of another line is there by a stale pointer; a table is not."""
    pieces = [
        *[_block(OWN, 500, of_python=False)] * 16,
        _block(OTHER, 4640, of_python=False),
        _block(FOREIGN, 64),
    ]
    heap = Heap()
    heap.held = set(range(len(pieces)))
    lines = Counter(piece.stack[:1] for piece in pieces)
    marker = SimpleNamespace(
        is_object=lambda _: False, objects=lambda _: (), tables=lambda _: tables
    )
    assert _strays(heap, lines, marker, pieces, CALLS) == {16} - tables


def test_a_large_block_of_each_call_is_no_stray() -> None:
    """However many small ones there are beside it, from another line."""
    pieces = [_block(OWN, 40, of_python=False)] * 65 * CALLS
    pieces += [_block(OTHER, 18_000, of_python=False)] * CALLS
    heap = Heap()
    heap.held = set(range(len(pieces)))
    lines = Counter(piece.stack[:1] for piece in pieces)
    marker = SimpleNamespace(
        is_object=lambda _: False, objects=lambda _: (), tables=lambda _: set()
    )
    assert _strays(heap, lines, marker, pieces, CALLS) == set()


def _named(cause: Cause, holder: str) -> Cause:
    path = RetentionPath(steps=("module",), holder=holder)
    return replace(cause, path=path, holding=replace(cause.holding, path=path))


@pytest.mark.parametrize(
    ("lists", "names"),
    [
        pytest.param(8, ["app.ALL"], id="many"),
        pytest.param(3, ["app.ALL", "app.ALL[...]"], id="few"),
    ],
)
def test_containers_below_a_growing_one(lists, names) -> None:
    """Many containers to which each call adds are one leak, as are their tables."""
    below = [[number] for number in range(lists)]
    causes = [_named(_grown(below), "app.ALL")]
    causes += [_named(_grown(one), "app.ALL[...]") for one in below]
    verdict = _verdict(blocks=1.0 + lists, heap=5_000.0)
    parts = parts_of(causes, verdict, (), lambda: None, lambda: None)
    held = {part.diagnosis.path.holder for part in parts if part.diagnosis.path is not None}
    assert sorted(held) == names
    assert (len(parts) == 1) is (lists == 8)  # else the C heap is another one
