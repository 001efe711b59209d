"""Tests of following blocks one by one."""

from __future__ import annotations

import ctypes
from collections import Counter
from types import SimpleNamespace

import pytest

from pytest_memguard.probes.block_tracker import BlockTracker, _without_replaced
from pytest_memguard.probes.heap import TrackerFolder
from tests.support.fresh_process import alone


@alone
@pytest.mark.parametrize("size", [300, 1000])
def test_memory_of_the_raw_domain(size) -> None:
    """A small block that lies in the C heap is none of those that Python counts."""
    take = ctypes.pythonapi.PyMem_RawMalloc
    take.restype = ctypes.c_void_p
    folder = TrackerFolder()
    tracker = BlockTracker(folder)
    tracker.start()
    address = take(size)
    text = bytes(300)
    tracker.stop()
    blocks = {block.address: block for block in tracker.read() or ()}
    folder.close()
    assert blocks[address].in_c_heap
    assert blocks[id(text)].of_python
    assert not blocks[id(text)].in_c_heap
    assert blocks[address].of_python == (size > 512)


@pytest.mark.parametrize(
    ("made", "freed", "kept"),
    [
        pytest.param({1: 5}, {1: 5}, {1: 5}, id="the-test-itself"),
        pytest.param({1: 5, 7: 2}, {7: 2}, {1: 5}, id="as-many"),
        pytest.param({1: 5, 7: 4}, {7: 2}, {1: 5}, id="half"),
        pytest.param({1: 5, 7: 16}, {7: 2}, {1: 5, 7: 16}, id="a-thread-that-leaks"),
        pytest.param({7: 3}, {8: 3}, {7: 3}, id="of-another-thread"),
    ],
)
def test_threads_that_replace_blocks(made, freed, kept) -> None:
    """Blocks of a thread that freed as many older ones have only taken their place."""
    alive = {
        1000 * thread + number: (SimpleNamespace(tid=thread), 0)
        for thread, count in made.items()
        for number in range(count)
    }
    left = _without_replaced(alive, Counter(freed), own=1)
    assert Counter(record.tid for record, _ in left.values()) == kept
