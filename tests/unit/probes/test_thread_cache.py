"""Tests of what glibc's thread cache holds, with the C heap of the tests' own process."""

from __future__ import annotations

import ctypes
import threading
from itertools import pairwise

import pytest

from pytest_memguard.probes.c_heap import CHeap
from pytest_memguard.probes.thread_cache import (
    ThreadCache,
    malloc_and_free,
    thread_cache,
)


@pytest.fixture
def cache() -> ThreadCache:
    """The cache of the main thread."""
    found = thread_cache()
    if found is None:
        pytest.skip("the C library is not glibc 2.30 to 2.41")
    return found


@pytest.mark.parametrize("room", [24, 344, 1000, 2000])
def test_freed_blocks_are_not_in_use(cache, room) -> None:
    """Each block that is freed counts no more, be it in the cache or not."""
    take, free = malloc_and_free()
    whole = ctypes.CDLL(None).malloc_usable_size
    whole.argtypes, whole.restype = [ctypes.c_void_p], ctypes.c_size_t
    heap = CHeap()
    blocks = [take(room) for _ in range(12)]  # the cache has at most seven of one size
    sizes = [whole(block) + 8 for block in blocks]
    in_use = []
    for block in (*blocks, None):
        in_use.append(heap.in_use() - cache.size())
        free(block)
    assert [before - after for before, after in pairwise(in_use)] == sizes


def test_other_threads_have_their_own(cache) -> None:
    """Another thread cannot read its own cache, and sees nothing of the main thread's."""
    found: list[object] = []

    def read_both() -> None:
        found.extend([cache.is_mine, cache.size(), thread_cache()])

    thread = threading.Thread(target=read_both)
    thread.start()
    thread.join()
    assert found == [False, 0, None]
    assert cache.is_mine


@pytest.mark.parametrize("first", [0, 0x251, 0x291])
def test_a_heap_that_begins_with_something_else(first) -> None:
    """A heap with another layout, even a similar one, is not read as a cache."""
    memory = (ctypes.c_size_t * 100)(0, first)
    with pytest.raises(ValueError, match=r"begins with something else|is not in it"):
        ThreadCache(ctypes.addressof(memory))
