"""Tests of giving back what the interpreter keeps for reuse."""

from __future__ import annotations

import gc
import sys

import pytest

from pytest_memguard.allocator.free_lists import clear_free_lists

CPYTHON = sys.implementation.name == "cpython"


@pytest.fixture
def nothing_frozen():
    """No object is frozen while a test runs; afterwards all are, as before."""
    before = gc.get_freeze_count()
    gc.unfreeze()
    yield
    if before:
        gc.freeze()


@pytest.mark.skipif(not CPYTHON, reason="only CPython keeps objects for reuse")
@pytest.mark.usefixtures("nothing_frozen")
def test_free_lists_are_given_back() -> None:
    """Blocks that freed tuples still hold are free afterwards."""
    clear_free_lists()
    tuples = [(name, None) for name in [None] * 1500]
    before = sys.getallocatedblocks()
    del tuples
    freed = before - sys.getallocatedblocks()
    clear_free_lists()
    assert freed < 700  # the others wait to be used again
    assert before - sys.getallocatedblocks() > 1400


@pytest.mark.skipif(not CPYTHON, reason="only CPython freezes objects")
@pytest.mark.usefixtures("nothing_frozen")
def test_no_garbage_is_collected() -> None:
    """No finalizer runs, and what was frozen for the moment thaws."""
    finalized = []

    class Cycle:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            finalized.append("gone")

    Cycle()
    clear_free_lists()
    assert finalized == []
    assert gc.get_freeze_count() == 0
    gc.collect()
    assert finalized == ["gone"]


@pytest.mark.skipif(not CPYTHON, reason="only CPython freezes objects")
@pytest.mark.usefixtures("nothing_frozen")
def test_what_others_froze_stays_frozen() -> None:
    """If the suite has frozen objects the lists stay as they are."""
    gc.freeze()
    try:
        frozen = gc.get_freeze_count()
        assert frozen > 0
        clear_free_lists()
        assert abs(gc.get_freeze_count() - frozen) < 5
    finally:
        gc.unfreeze()
