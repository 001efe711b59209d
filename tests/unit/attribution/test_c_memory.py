"""Tests of what leads to memory of C code, on a heap that is written out."""

from __future__ import annotations

import time
from array import array

import pytest

from pytest_memguard.attribution.c_memory import Chunks, Graph

BASE = 0x10000
IN_USE = 1


def _heap(*chunks: list[int]) -> tuple[range, list[int]]:
    """A heap with chunks of such words, in this order, and where each begins.

    A negative word is a pointer to the chunk of that number, from one.
    """
    starts, at = [], BASE
    for words in chunks:
        starts.append(at + 16)
        at += 16 * ((len(words) + 2) // 2 + 1)
    ends = [start - 16 for start in starts[1:]] + [at]
    memory = array("Q")
    for words, start, end in zip(chunks, starts, ends, strict=True):
        size = end - start + 16
        content = [starts[-word - 1] if word < 0 else word for word in words]
        memory.extend([0, size | IN_USE, *content, *[0] * (size // 8 - 2 - len(content))])
    memory.extend([0, 1 << 12 | IN_USE])  # the last chunk: what malloc has not given out
    _heap.memory = memory.tobytes()
    return range(BASE, BASE + len(memory) * 8), starts


def test_free_chunks() -> None:
    """The former use of free chunks does not count."""
    addresses, starts = _heap([-2, 7], [-1, 7], [])
    words = array("Q", _heap.memory)
    after_first = (starts[1] - BASE) // 8 - 1
    words[after_first] &= ~IN_USE
    _heap.memory = words.tobytes()
    chunks = Chunks(addresses, _read)
    assert [chunks.below(index) for index in (0, 1)] == [set(), {0}]


def _read(address: int, size: int) -> bytes:
    return _heap.memory[address - BASE : address - BASE + size]


def _graph(sources: dict[str, list[int]], *chunks: list[int]) -> tuple[Graph, list[int]]:
    """What leads to what, if objects lead to the chunks of these numbers."""
    addresses, starts = _heap(*chunks)
    known = Chunks(addresses, _read)
    firsts = [known.all_of([starts[n - 1] for n in numbers]) for numbers in sources.values()]
    return Graph(known, list(sources), firsts, time.thread_time() + 60), starts


def test_chunks() -> None:
    """Any address in a chunk leads to it, and each word that is such an address."""
    addresses, starts = _heap([1, 2, 3], [-1, 7], [-2, -1, -3])
    chunks = Chunks(addresses, _read)
    assert [chunks.index(start) for start in starts] == [0, 1, 2]
    assert chunks.index(starts[1] + 8) == 1
    assert chunks.index(BASE - 8) is None
    assert chunks.index(addresses.stop) is None
    assert [chunks.below(index) for index in (0, 1, 2)] == [set(), {0}, {0, 1}]


@pytest.mark.parametrize(
    ("sources", "chunks", "wanted", "found"),
    [
        pytest.param({"db": [1]}, [[-2, 7], [-3, 7], []], [3], ["db"], id="a-chain"),
        pytest.param({"db": [1]}, [[0, 7], [-3, 7], []], [3], [], id="lost"),
        pytest.param({"db": [1]}, [[-2, 7], [-3], []], [3], [], id="links-of-free-chunks"),
        pytest.param({"db": [1]}, [[-1, -2], [-1], []], [2], ["db"], id="a-ring"),
        pytest.param(
            {"far": [1], "near": [2]}, [[-2, 7], [-3, 7], []], [3], ["near"], id="nearest"
        ),
        pytest.param(
            {"stale": [1]},
            [[-2, 7], [], [], []],
            [2, 3, 4],
            [],
            id="old-pointer-to-one-of-them",
        ),
        pytest.param({"db": [1]}, [[-2, -3, -4], [], [], []], [2, 3, 4], ["db"], id="table"),
        pytest.param(
            {"db": [1]}, [[-2, -4], [-3, 7], [], [-5, 7], []], [2, 3, 4, 5], ["db"], id="rows"
        ),
        pytest.param(
            {"db": [1]},
            [[-2, 7], [-3, 7], [-4, 7], [-5, 7], [-6, 7], []],
            [2, 3, 4, 5, 6],
            [],
            id="one-to-the-next",
        ),
    ],
)
def test_nearest(sources, chunks, wanted, found) -> None:
    """The nearest address leads to most of the blocks by the fewest chunks."""
    graph, starts = _graph(sources, *chunks)
    assert graph.nearest([starts[number - 1] for number in wanted]) == found
