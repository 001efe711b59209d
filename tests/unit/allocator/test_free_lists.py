"""Tests of giving back what the interpreter keeps for reuse."""

from __future__ import annotations

import gc
import sys

import pytest

from pytest_memguard.allocator.free_lists import clear_free_lists
from tests.support.fresh_process import alone

CPYTHON = sys.implementation.name == "cpython"


@pytest.mark.skipif(not CPYTHON, reason="only CPython keeps objects for reuse")
@alone
def test_free_lists_are_given_back() -> None:
    """Blocks that freed tuples still hold are free afterwards."""
    gc.unfreeze()
    clear_free_lists()
    tuples = [(name, None) for name in [None] * 1500]
    before = sys.getallocatedblocks()
    del tuples
    freed = before - sys.getallocatedblocks()
    clear_free_lists()
    assert freed < 700  # the others wait to be used again
    assert before - sys.getallocatedblocks() > 1400


@pytest.mark.skipif(not CPYTHON, reason="only CPython freezes objects")
@alone
def test_no_garbage_is_collected() -> None:
    """No finalizer runs, and what was frozen for the moment thaws."""
    gc.unfreeze()
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
@alone
def test_what_others_froze_stays_frozen() -> None:
    """If the suite has frozen objects the lists stay as they are."""
    gc.freeze()
    frozen = gc.get_freeze_count()
    assert frozen > 0
    clear_free_lists()
    assert abs(gc.get_freeze_count() - frozen) < 5
