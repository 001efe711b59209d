"""The shortest chain of references from a root to each object of a heap, and its text."""

from __future__ import annotations

import re
from array import array
from typing import Final

from pytest_memguard.judge.dominators import NONE
from pytest_memguard.model.heap_graphs import HeapGraph

_COSTS: Final = {"property": 1, "element": 1, "context": 1}
"""What a reference of each type that programs can name costs."""
_INTERNAL_COST: Final = 4
"""The cost of others: a chain that a reader knows is better than a shorter one through V8."""
_MOST_STEPS: Final = 12
_DETAILS: Final = frozenset(("context", "elements", "properties", "table"))
"""Names of references to what V8 keeps the content of an object in."""
_IDENTIFIER: Final = re.compile(r"[A-Za-z_$][\w$]*")


class ShortestPaths:
    """For each object the reference by which it is reached on the cheapest chain.

    Args:
        graph: the heap.
        strong: which references are strong.
    """

    def __init__(self, graph: HeapGraph, strong: bytearray) -> None:
        self._graph = graph
        self._through = array("q", [NONE]) * graph.count
        self._from = array("q", [NONE]) * graph.count
        self._names = graph.class_names()
        self._walk(strong)

    def _walk(self, strong: bytearray) -> None:
        """Reach all objects in the order of their costs, which are small numbers."""
        graph, through, came_from = self._graph, self._through, self._from
        first, target, kind = graph.first_edge, graph.target, graph.edge_type
        costs = [_COSTS.get(name, _INTERNAL_COST) for name in graph.edge_types]
        done = bytearray(graph.count)
        waiting: list[list[tuple[int, int, int]]] = [[] for _ in range(_INTERNAL_COST + 1)]
        waiting[0].append((0, NONE, NONE))
        at = 0
        while any(waiting):
            bucket = waiting[at % len(waiting)]
            while bucket:
                node, edge, before = bucket.pop()
                if done[node]:
                    continue
                done[node] = 1
                through[node], came_from[node] = edge, before
                for next_edge in range(first[node], first[node + 1]):
                    to = target[next_edge]
                    if strong[next_edge] and not done[to]:
                        cost = costs[kind[next_edge]]
                        waiting[(at + cost) % len(waiting)].append((to, next_edge, node))
            at += 1

    def reaches(self, node: int) -> bool:
        """Return whether strong references reach an object."""
        return node == 0 or self._through[node] >= 0

    def steps_to(self, node: int) -> list[int]:
        """Return the references from the root to an object."""
        steps = []
        while self._through[node] >= 0:
            steps.append(self._through[node])
            node = self._from[node]
        return steps[::-1]

    def text(self, node: int, *, exact: bool = True) -> str:
        """Return the chain to an object in words.

        Args:
            node: the object.
            exact: whether indexes are named; chains of the objects in one array look the same
                without them.
        """
        parts: list[str] = []
        for edge in self.steps_to(node):
            if self._is_root(self._graph.target[edge]):
                parts = [self._names[self._graph.target[edge]]]
            elif text := self._step(edge, exact=exact):
                parts.append(text)
        if len(parts) > _MOST_STEPS:
            parts = [*parts[:3], " -> ...", *parts[3 - _MOST_STEPS :]]
        return "".join(parts).removeprefix(" -> ")

    def _step(self, edge: int, *, exact: bool) -> str:
        """Return what one reference adds to a chain; nothing for a detail of V8."""
        graph, to = self._graph, self._graph.target[edge]
        kind, name = graph.edge_types[graph.edge_type[edge]], graph.edge_text(edge)
        before = self._from[to]
        if self._is_root(before):
            kind = name = ""
        if kind == "element":
            return f"[{name}]" if exact else "[n]"
        if kind == "property":
            return _property(name)
        if kind == "context":
            return f" -> variable {name}"
        if name in _DETAILS:
            return ""
        entry = "entry " if self._names[before] == "(array)" else ""
        return f" -> {entry}{self._names[to]}"

    def _is_root(self, node: int) -> bool:
        return self._graph.types[self._graph.type[node]] == "synthetic"


def _property(name: str) -> str:
    if _IDENTIFIER.fullmatch(name):
        return f".{name}"
    if name.startswith("<symbol "):
        return f"[{name[1:-1]}]"
    return f"[{name!r}]"
