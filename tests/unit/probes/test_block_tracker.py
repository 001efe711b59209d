"""Tests of following blocks one by one."""

from __future__ import annotations

import ctypes

import pytest

from pytest_memguard.probes.block_tracker import BlockTracker
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
