"""Tests of how the growth of a signal is divided among its causes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_memguard.attribution.holding import Holding
from pytest_memguard.model.leaks import Rate, RetentionPath, Round, Signal, Verdict
from pytest_memguard.probes.block_tracker import Block
from pytest_memguard.recording import parts as parts_module
from pytest_memguard.recording.causes import Cause
from pytest_memguard.recording.parts import parts_of
from pytest_memguard.recording.shares import shares_of

CALLS = 16


def cause(number: int, *sizes: int, resource: Signal | None = None, owned: float = 0) -> Cause:
    """A holder of C memory in blocks of these sizes, with headers, which one line allocated."""
    pieces = tuple(
        Block(
            address=0,
            size=size - 8,
            stack=(("keep", "/app/io.py", number),),
            native=(),
            of_python=False,
        )
        for size in sizes
    )
    path = RetentionPath(steps=("module",), holder=f"app.CACHE_{number}")
    holding = Holding(path=path, pieces=pieces, types=(), objects=(), gained=CALLS)
    per_call: dict[Signal, float] = {"blocks": 0.0, "C heap": sum(sizes) / CALLS}
    if resource is not None:
        per_call[resource] = owned
    return Cause(path=path, pieces=pieces, holding=holding, calls=CALLS, per_call=per_call)


def verdict(**rates: float) -> Verdict:
    """Leaking, with so much of each signal per call."""
    names: dict[str, Signal] = {
        "heap": "C heap",
        "files": "open files",
        "blocks": "blocks",
    }
    return Verdict(
        state="leaking",
        calls=100,
        rates=tuple(
            Rate(signal=names[name], per_call=rate, low=rate, high=rate)
            for name, rate in rates.items()
        ),
    )


def amounts(causes: list[Cause], leak: Verdict) -> tuple[list[float], list[str]]:
    """What each cause gets of the first signal, and the notes."""
    shares = shares_of(causes, leak)
    found = [sum(rate.per_call for rate in rates[:1]) for rates in shares.rates]
    return [round(amount, 1) for amount in found], list(shares.notes)


EACH_112, EACH_32 = [112] * CALLS, [32] * CALLS


@pytest.mark.parametrize(
    ("sizes", "growth", "parts", "notes"),
    [
        pytest.param([EACH_112, EACH_32], 150, [116.7, 33.3], 0, id="as-measured"),
        pytest.param([EACH_112, EACH_32], 288, [112, 32], 0, id="more-grows"),
        pytest.param(
            [[*EACH_112, 8000], [*EACH_32, 8000]], 144, [112, 32], 0, id="tables-grew"
        ),
        pytest.param([[*EACH_112, 8000], EACH_32], 144, [112, 32], 0, id="one-table-grew"),
        pytest.param(
            [[*EACH_112, 8000], EACH_32], 244, [212, 32], 1, id="a-table-grows-now-and-then"
        ),
        pytest.param([EACH_112, EACH_32], 72, [56, 16], 1, id="less-than-each-call-leaves"),
        pytest.param([[1600], [3200]], 90, [30, 60], 1, id="left-by-one-call"),
        pytest.param([[1600]], 30, [30], 0, id="only-cause"),
    ],
)
def test_bytes_of_several_causes(sizes, growth, parts, notes) -> None:
    """All causes together get no more than what grows: at first what each call leaves."""
    causes = [cause(number, *each) for number, each in enumerate(sizes)]
    found, said = amounts(causes, verdict(heap=growth))
    assert parts == found
    assert [True] * notes == ["the C heap cannot be divided" in note for note in said]


def test_objects_that_may_own_a_file() -> None:
    """There are as many open files as are open, whatever else has a method to close it."""
    causes = [cause(one, resource="open files", owned=1.0) for one in range(3)]
    assert amounts(causes, verdict(files=2)) == ([1, 1, 0], [])


def test_growth_that_no_part_has() -> None:
    """A note says how much was seen at no line of its own; the parts have the rest."""
    parts = parts_of(
        [cause(1, *EACH_112), cause(2, *EACH_32)],
        verdict(heap=288),
        (),
        lambda: None,
        lambda: None,
    )
    assert [part.verdict.rate_of("C heap") for part in parts] == [112, 32]
    (note,) = parts[0].diagnosis.notes
    assert note.startswith(
        "144 of the 288 bytes per call by which the C heap grows are in none"
    )


def test_growth_in_some_rounds(monkeypatch) -> None:
    """A table that doubled in some rounds is no leak beside what grows in all of them."""
    monkeypatch.setattr(parts_module, "watched_part", None)  # nothing is looked for
    rounds = [
        Round(calls=100, growth=(("C heap", 100 * moved),))
        for moved in (144, 145, 720, 144) * 3
    ]
    leak = replace(verdict(heap=288), rounds=tuple(rounds))
    parts = parts_of([cause(1, *EACH_112), cause(2, *EACH_32)], leak, (), int, int)
    assert [part.verdict.rate_of("C heap") for part in parts] == [112, 32]
    assert "144 of the 288 bytes" in parts[0].diagnosis.notes[0]


def test_files_that_no_object_owns() -> None:
    """A part of their own has only those that the others do not have."""
    causes = [cause(1, resource="open files", owned=1.0)]
    parts = parts_of(causes, verdict(files=3), (), lambda: None, lambda: None)
    assert sorted(part.verdict.rate_of("open files") for part in parts) == [1, 2]


@pytest.mark.parametrize(
    ("shares", "growth", "parts"),
    [
        pytest.param([3, 31], 32, [3, 29], id="more-was-seen"),
        pytest.param([29, 3, 1], 35, [31, 3, 1], id="less-was-seen"),
        pytest.param([6, 6], 9, [4.5, 4.5], id="far-more-was-seen"),
    ],
)
def test_blocks_of_several_causes(shares, growth, parts) -> None:
    """The largest cause has the rest, so that small ones keep a whole number of blocks."""
    causes = [
        replace(cause(number), per_call={"blocks": share})
        for number, share in enumerate(shares)
    ]
    assert (parts, []) == amounts(causes, verdict(blocks=growth))
