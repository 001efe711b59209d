"""Tests of rounds of calls: which are flat, which count, and what they add up to."""

from __future__ import annotations

import pytest

from pytest_memguard.judge.rounds import (
    allowance,
    calls_of,
    evened,
    is_flat,
    joined,
    last,
    latest,
    levels_of,
    pairs_of,
    signals_of,
)
from tests.support.leak_rounds import a_round, series

BLOCKS_AND_FILES = a_round(3, open_files=1, blocks=2)


@pytest.mark.parametrize(
    ("growth", "calls", "flat"),
    [
        pytest.param({}, 3, True, id="nothing-read"),
        pytest.param({"blocks": 0}, 3, True, id="nothing"),
        pytest.param({"blocks": -50}, 3, True, id="less"),
        pytest.param({"blocks": 1}, 3, False, id="one-in-three"),
        pytest.param({"blocks": 1}, 4, True, id="one-in-four"),
        pytest.param({"C_heap": 36}, 3, True, id="heap-at-the-floor"),
        pytest.param({"C_heap": 37}, 3, False, id="heap-above"),
        pytest.param({"USS": 4096}, 3, True, id="a-page"),
        pytest.param({"USS": 4097}, 3, False, id="more-than-a-page"),
        pytest.param({"USS": 4097}, 11, True, id="pages-over-more-calls"),
        pytest.param({"USS": 4400}, 11, True, id="pages-at-the-floor"),
        pytest.param({"USS": 4401}, 11, False, id="pages-above"),
        pytest.param({"blocks": 0, "native_threads": 3}, 3, False, id="one-of-two"),
    ],
)
def test_is_flat(growth, calls, flat) -> None:
    """A round is flat if no signal grew by more than its floor."""
    assert is_flat(a_round(calls, **growth)) is flat


@pytest.mark.parametrize(
    "signal",
    [
        "open_files",
        "Python_threads",
        "native_threads",
        "child_processes",
        "asyncio_tasks",
        "uncollectable_objects",
    ],
)
def test_one_in_five_is_flat(signal) -> None:
    """One resource in five calls is none per call, one in four is."""
    assert is_flat(a_round(5, **{signal: 1}))
    assert not is_flat(a_round(4, **{signal: 1}))


@pytest.mark.parametrize(
    ("signal", "calls", "share", "expected"),
    [
        pytest.param("C heap", 10, 1.0, 120, id="floor"),
        pytest.param("C heap", 10, 0.5, 60, id="half"),
        pytest.param("blocks", 0, 1.0, 0, id="no-call"),
        pytest.param("USS", 10, 1.0, 4096, id="a-page"),
        pytest.param("USS", 20, 1.0, 8000, id="more-than-a-page"),
        pytest.param("USS", 20, 0.5, 4096, id="half-of-it-is-less-than-a-page"),
    ],
)
def test_allowance(signal, calls, share, expected) -> None:
    """A signal may move by its floor per call, and USS by a page at least."""
    assert expected == allowance(signal, calls, share)


def test_allowance_is_the_whole_floor() -> None:
    """The floor is not reduced unless a share is given."""
    assert allowance("C heap", 10) == 120


@pytest.mark.parametrize(
    ("sizes", "kept"),
    [
        pytest.param([], [], id="none"),
        pytest.param([3, 3], [3, 3], id="all-of-few"),
        pytest.param([3] * 12, [3] * 10, id="thirty-calls"),
        pytest.param([1] * 40, [1] * 30, id="no-more-than-thirty-calls"),
        pytest.param([3] * 18, [3] * 12, id="two-thirds"),
        pytest.param([3] * 19, [3] * 13, id="more-than-two-thirds"),
        pytest.param([30] * 3 + [60] * 5, [30] + [60] * 5, id="six-rounds"),
        pytest.param([3] * 11 + [1], [3] * 9 + [4], id="one-cut-short"),
        pytest.param([6, 6, 6, 6, 6, 2, 1], [6, 6, 6, 6, 9], id="two-cut-short"),
    ],
)
def test_latest(sizes, kept) -> None:
    """A leak rests on two thirds of the calls, 30 calls and six rounds at least."""
    rounds = [a_round(size, blocks=size) for size in sizes]
    assert kept == [r.calls for r in latest(rounds)]
    assert kept == [r.of("blocks") for r in latest(rounds)]


@pytest.mark.parametrize(
    ("calls", "count", "kept"),
    [
        pytest.param(0, 0, [], id="none-wanted"),
        pytest.param(1, 0, [5], id="by-calls"),
        pytest.param(5, 0, [5], id="as-many-calls"),
        pytest.param(6, 0, [4, 5], id="one-call-more"),
        pytest.param(5, 2, [4, 5], id="by-rounds"),
        pytest.param(9, 3, [3, 4, 5], id="by-both"),
        pytest.param(99, 0, [2, 3, 4, 5], id="too-many-calls"),
        pytest.param(0, 9, [2, 3, 4, 5], id="too-many-rounds"),
    ],
)
def test_last(calls, count, kept) -> None:
    """The latest rounds are as few as have the calls and are as many as wanted."""
    rounds = [a_round(size, blocks=size) for size in (2, 3, 4, 5)]
    assert kept == [r.calls for r in last(rounds, calls, count)]


@pytest.mark.parametrize(
    ("sizes", "kept"),
    [
        pytest.param([], [], id="none"),
        pytest.param([3], [3], id="one"),
        pytest.param([3, 3, 6], [3, 3, 6], id="none-cut-short"),
        pytest.param([3, 2], [5], id="one-cut-short"),
        pytest.param([2, 5, 3], [2, 8], id="shorter-than-the-one-before-alone"),
        pytest.param([3, 2, 3], [5, 3], id="shorter-than-what-was-joined"),
        pytest.param([3, 2, 1, 2], [8], id="several-cut-short"),
        pytest.param([3, 3, 1, 3, 3, 6, 60], [3, 4, 3, 3, 6, 60], id="one-among-many"),
        pytest.param([3, 2, 6], [5, 6], id="longer-than-what-was-joined"),
    ],
)
def test_evened(sizes, kept) -> None:
    """A round with fewer calls than the one before is part of it."""
    assert kept == [r.calls for r in evened([a_round(size, blocks=1) for size in sizes])]


@pytest.mark.parametrize(
    ("rounds", "expected"),
    [
        pytest.param(series(2), a_round(3, blocks=2), id="one"),
        pytest.param(series(2, -5, 0), a_round(9, blocks=-3), id="sums"),
        pytest.param(
            (BLOCKS_AND_FILES, a_round(4, blocks=0, open_files=1)),
            a_round(7, blocks=2, open_files=2),
            id="two-signals",
        ),
        pytest.param((BLOCKS_AND_FILES, *series(1)), a_round(6, blocks=3), id="read-once"),
    ],
)
def test_joined(rounds, expected) -> None:
    """Rounds add up by calls and by every signal that all of them have."""
    assert expected == joined(rounds)
    assert expected.calls == calls_of(rounds)


@pytest.mark.parametrize(
    ("rounds", "expected"),
    [
        pytest.param((BLOCKS_AND_FILES,), ["blocks", "open files"], id="one"),
        pytest.param((BLOCKS_AND_FILES, *series(0)), ["blocks"], id="not-in-all"),
        pytest.param((BLOCKS_AND_FILES, a_round(3)), [], id="nothing-read-once"),
    ],
)
def test_signals_of(rounds, expected) -> None:
    """Signals count if every round has them, and the most conclusive come first."""
    assert expected == signals_of(rounds)


def test_pairs_and_levels() -> None:
    """A signal's level begins at nought and moves by the growth of every round."""
    rounds = (*series(2, 0, -5), a_round(4, blocks=1))
    assert pairs_of(rounds, "blocks") == [(3, 2), (3, 0), (3, -5), (4, 1)]
    assert levels_of(rounds, "blocks") == [0, 2, 2, -3, -2]


def test_what_was_not_read_did_not_move() -> None:
    """A round without a reading of a signal leaves its level where it was."""
    assert levels_of((BLOCKS_AND_FILES, *series(7)), "open files") == [0, 1, 1]
    assert pairs_of((BLOCKS_AND_FILES, *series(7)), "open files") == [(3, 1), (3, 0)]
