"""Dominators of heaps, compared with what is still reached without each object."""

from __future__ import annotations

from random import Random

import pytest

from pytest_memguard.judge.dominators import NONE, DominatorTree, strong_edges
from pytest_memguard.storage.heap_snapshot import read_heap_snapshot
from tests.support.heap_files import snapshot_text


@pytest.fixture
def heap(tmp_path):
    """Makes a heap of objects and references."""

    def make(nodes, edges):
        path = tmp_path / "x.heapsnapshot"
        path.write_text(snapshot_text(nodes, edges))
        return read_heap_snapshot(path)

    return make


def reached(edges, without=None) -> set[int]:
    """What strong references reach from the root."""
    found, waiting = set(), [0]
    while waiting:
        node = waiting.pop()
        if node == without or node in found:
            continue
        found.add(node)
        waiting += [to for start, kind, _, to in edges if start == node and kind != "weak"]
    return found


@pytest.mark.parametrize("seed", range(30))
def test_retained_is_what_would_be_free(heap, seed) -> None:
    """Without an object, exactly what it retains is reached no more."""
    random = Random(seed)  # noqa: S311
    count = random.randint(2, 14)
    nodes = [("object", "A", 2 * n + 1, random.randint(1, 99)) for n in range(count)]
    edges = [
        (
            random.randrange(count),
            random.choice(["property", "internal", "weak"]),
            "x",
            random.randrange(count),
        )
        for _ in range(random.randint(1, 3 * count))
    ]
    graph = heap(nodes, edges)
    tree = DominatorTree(graph, strong_edges(graph))
    every = reached(edges)
    assert every == set(tree.order)
    for node in range(count):
        lost = every - reached(edges, node) if node in every else {node}
        assert sum(nodes[one][3] for one in lost) == tree.retained[node]
        assert (tree.parent[node] == NONE) == (node == 0 or node not in every)


def test_the_value_of_a_weak_map_is_its_keys(heap) -> None:
    """A value counts as kept by its key, not by the map's table."""
    name = "1 / part of key (K @5) -> value (V @7) pair in WeakMap (table @3)"
    nodes = [
        ("synthetic", "", 1, 0),
        ("array", "", 3, 1),
        ("object", "K", 5, 10),
        ("object", "V", 7, 100),
    ]
    edges = [
        (0, "element", 1, 1),
        (0, "element", 2, 2),
        (1, "internal", name, 3),
        (2, "internal", name, 3),
    ]
    graph = heap(nodes, edges)
    tree = DominatorTree(graph, strong_edges(graph))
    assert list(tree.retained) == [111, 1, 110, 100]


def test_a_deep_chain(heap) -> None:
    """A linked list of any length is no problem: nothing calls itself."""
    count = 3000
    nodes = [("object", "Node", n, 1) for n in range(count)]
    edges_of = [(n, "property", "next", n + 1) for n in range(count - 1)]
    graph = heap(nodes, edges_of)
    tree = DominatorTree(graph, strong_edges(graph))
    assert list(range(count, 0, -1)) == list(tree.retained)
