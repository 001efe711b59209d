"""Tests without a budget that leave behind what may hide the memory of others."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import tracemalloc

import pytest
from memory import block, in_thread, medium_blocks, small_lists, small_objects

KEPT: list[object] = []
CACHE: dict[int, object] = {}
TIMES = 2
"""How many of each are mixed with the others."""
again = pytest.mark.parametrize("number", range(TIMES))


class Node:
    """An object that refers to itself."""

    def __init__(self, data):
        self.data = data
        self.me = self


class Loud(Node):
    """A node with a finalizer."""

    def __del__(self):
        self.me = None


@pytest.fixture(scope="class")
def node():
    """Keep a node until the class's last test."""
    return Node(block(20))


@pytest.fixture(scope="module", params=[1, 2])
def large(request):
    """Keep much memory until the module's last test that needs it."""
    return Node(small_objects(12))


@pytest.mark.usefixtures("node")
class TestClass:
    """Tests whose fixture becomes garbage after the last of them."""

    @again
    def test_node(self, number):
        """Have the collector see the node."""
        gc.collect()


def test_module_fixture(large):
    """Leave the node of a fixture with parameters."""


@again
def test_garbage(number):
    """Leave cyclic garbage that no collection has seen."""
    Node(block(20))


@again
def test_old_garbage(number):
    """Leave cyclic garbage that was alive at the last collection."""
    node = Node(small_objects(12))
    gc.collect()
    assert node


@again
def test_finalizer(number):
    """Leave cyclic garbage with a finalizer."""
    node = Loud(block(20))
    gc.collect()
    assert node


@again
@pytest.mark.xfail(raises=ZeroDivisionError, strict=True)
def test_fails(number):
    """Fail with a large frame that refers to itself."""
    rows = [block(20)]
    rows.append(rows)
    gc.collect()
    assert rows[0][number] // 0


@again
@pytest.mark.xfail(raises=KeyError, strict=True)
def test_fails_with_a_cause(number):
    """Fail with a chain of exceptions and large frames."""
    rows = small_objects(12)
    try:
        rows[-1][number // 0]
    except ZeroDivisionError as error:
        kept = block(8)
        raise KeyError(len(kept)) from error


@pytest.fixture
def broken():
    """Fail in setup with a large frame."""
    rows = [block(16)]
    rows.append(rows)
    raise LookupError


@pytest.mark.xfail(raises=LookupError, strict=True)
def test_setup_fails(broken):
    """Leave the frame of a fixture."""


@again
def test_fills_cache(number):
    """Keep memory for later tests."""
    CACHE[number] = [block(12), small_lists(6), medium_blocks(6)]


@again
def test_clears_cache(number):
    """Free what other tests have kept."""
    CACHE.clear()


@again
def test_fragments_arenas(number):
    """Leave arenas with one object in fifty alive."""
    KEPT.append(small_objects(20)[::50])


@again
def test_fragments_arenas_of_lists(number):
    """Leave arenas with one small list in fifty alive."""
    KEPT.append(small_lists(20)[::50])


@again
def test_fragments_c_heap(number):
    """Leave a C heap with one block in thirty alive."""
    KEPT.append(medium_blocks(20)[::30])


def test_drops_what_fragments():
    """Free what fragments the allocators."""
    KEPT.clear()


@again
def test_large(number):
    """Raise the threshold from which the C library maps blocks."""
    for mebibytes in (2, 8, 30):
        block(mebibytes)


def test_thread():
    """Leave an arena of another thread."""
    threads = [threading.Thread(target=medium_blocks, args=(6,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    in_thread(10)


def test_child():
    """Start a child process."""
    subprocess.run([sys.executable, "-c", ""], check=True)


def test_traces():
    """Use tracemalloc."""
    tracemalloc.start()
    block(10)
    tracemalloc.stop()


@again
def test_collects(number):
    """Collect what is garbage by now."""
    gc.collect()
