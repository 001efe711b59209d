"""Which object keeps which others alive alone: the dominator tree of a heap.

The algorithm is Semi-NCA (Georgiadis, Linear-Time Algorithms for Dominators and Related
Problems, 2005): one pass over all references, in a time that is nearly linear in practice.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from typing import Final

from pytest_memguard.model.heap_graphs import HeapGraph

_WEAK_MAP_VALUE: Final = re.compile(
    r" / part of key \(.*? @\d+\) -> value \(.*? @\d+\) pair in WeakMap \(table @(\d+)\)$"
)
NONE: Final = -1


def strong_edges(graph: HeapGraph) -> bytearray:
    """Return for each reference whether it keeps its target alive.

    Weak ones do not. The value of a WeakMap is kept by its key and its table together; here
    it counts as kept by its key.
    """
    kinds = [name not in {"weak", "shortcut"} for name in graph.edge_types]
    strong = bytearray(map(kinds.__getitem__, graph.edge_type))
    shortcut = graph.edge_types.index("shortcut") if "shortcut" in graph.edge_types else NONE
    for edge in graph.edges_of(0):
        if graph.edge_type[edge] == shortcut:
            strong[edge] = 1
    _leave_out_tables(graph, strong)
    return strong


def _leave_out_tables(graph: HeapGraph, strong: bytearray) -> None:
    internal = graph.edge_types.index("internal") if "internal" in graph.edge_types else NONE
    tables = {
        number: int(match[1])
        for number, text in enumerate(graph.strings)
        if "pair in WeakMap" in text and (match := _WEAK_MAP_VALUE.search(text))
    }
    if not tables:
        return
    for node in range(graph.count):
        for edge in graph.edges_of(node):
            if graph.edge_type[edge] == internal:
                table = tables.get(graph.edge_name[edge])
                if table == graph.id[node]:
                    strong[edge] = 0


class DominatorTree:
    """The dominators of all objects that strong references reach.

    Args:
        graph: the heap.
        strong: which references are strong.

    Attributes:
        order: the objects in the order in which a search in depth reaches them.
        parent: the immediate dominator of each object; `NONE` for the root and for what is
            not reached.
        retained: bytes that would be free without each object.
    """

    def __init__(self, graph: HeapGraph, strong: bytearray) -> None:
        self.order, number, above = _search(graph, strong)
        dominators = _dominators(*_predecessors(graph, strong, number, self.order), above)
        self.parent = array("q", [NONE]) * graph.count
        self.retained = array("q", graph.size)
        retained, order = self.retained, self.order
        for at in range(len(order) - 1, 0, -1):
            node, dominator = order[at], order[dominators[at]]
            self.parent[node] = dominator
            retained[dominator] += retained[node]


def _search(graph: HeapGraph, strong: bytearray) -> tuple[array[int], array[int], list[int]]:
    """Return the objects in depth-first order, their places in it, and those of parents."""
    first, target = graph.first_edge, graph.target
    number = array("q", [NONE]) * graph.count
    order, above = array("q", [0]), [0]
    number[0] = 0
    nodes, edges = [0], [first[0]]  # the stack: objects, and the next reference of each
    while nodes:
        node, edge = nodes[-1], edges[-1]
        end = first[node + 1]
        while edge < end:
            to = target[edge]
            if strong[edge] and number[to] < 0:
                break
            edge += 1
        else:
            nodes.pop()
            edges.pop()
            continue
        edges[-1] = edge + 1
        number[to] = len(order)
        above.append(number[node])
        order.append(to)
        nodes.append(to)
        edges.append(first[to])
    return order, number, above


def _predecessors(
    graph: HeapGraph, strong: bytearray, number: array[int], order: array[int]
) -> tuple[array[int], array[int], array[int]]:
    """Return who refers to each object, by places in the order, and where its part is."""
    first, target = graph.first_edge, graph.target
    counts = [0] * (len(order) + 1)
    for edge, to in enumerate(target):
        if strong[edge] and number[to] >= 0:
            counts[number[to] + 1] += 1
    start = array("q", counts)
    for at in range(1, len(start)):
        start[at] += start[at - 1]
    free = array("q", start)
    found = array("q", [0]) * start[-1]
    for at, node in enumerate(order):
        for edge in range(first[node], first[node + 1]):
            if strong[edge]:
                to = number[target[edge]]
                found[free[to]] = at
                free[to] += 1
    return start, free, found


def _dominators(
    start: array[int], end: array[int], found: array[int], above: Sequence[int]
) -> list[int]:
    """Return the immediate dominator of each place.

    Args:
        start: where the predecessors of each place begin.
        end: where they end; behind it there is room for those that are not reached.
        found: the predecessors.
        above: the parent of each place in the search.
    """
    count = len(above)
    semi = list(range(count))
    label = list(range(count))
    ancestor = [NONE] * count
    for at in range(count - 1, 0, -1):
        least = above[at]
        for before in found[start[at] : end[at]]:
            if before <= at:
                candidate = before
            else:
                _compress(before, ancestor, label, semi)
                candidate = semi[label[before]]
            if candidate < least:  # noqa: PLR1730  a call of min takes three times as long
                least = candidate
        semi[at] = least
        ancestor[at] = above[at]
    dominator = list(above)
    for at in range(1, count):
        candidate, least = dominator[at], semi[at]
        while candidate > least:
            candidate = dominator[candidate]
        dominator[at] = candidate
    return dominator


def _compress(place: int, ancestor: list[int], label: list[int], semi: list[int]) -> None:
    """Shorten the path from a place to the root of its tree, and keep the least on it."""
    path = []
    while ancestor[ancestor[place]] >= 0:
        path.append(place)
        place = ancestor[place]
    for one in reversed(path):
        over = ancestor[one]
        if semi[label[over]] < semi[label[one]]:
            label[one] = label[over]
        ancestor[one] = ancestor[over]
