"""What has grown between two snapshots of a heap, and what keeps it."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from pytest_memguard.judge.dominators import NONE, DominatorTree, strong_edges
from pytest_memguard.judge.heap_paths import ShortestPaths
from pytest_memguard.model.heap_graphs import (
    ClassGrowth,
    HeapGraph,
    HeapGrowth,
    HeldBy,
    HolderGrowth,
)

_SAMPLED: Final = 500
"""New objects of a constructor whose chains are compared."""
_GATHERED_SHARE: Final = 0.6
"""New objects gather under an object unless large parts below it have this share of them."""
_PART_SHARE: Final = 0.2
"""Least share that such a part has."""
_MOST_HOLDERS: Final = 5
_LEAST_SHARE: Final = 0.05
"""Least share of all growth that a holder has to have."""
_LEAST_CLASS_SHARE: Final = 0.005
"""Constructors that have added less than this share of what the first one has are left out."""
_SAME_SHARE: Final = 0.95
"""Least share of the objects with one number that have one name too, in two heaps of one
process: it was 0.9999 and more, and 0.4 in two processes that run the same program."""


class Heap:
    """One snapshot with what is computed of it.

    Args:
        graph: the snapshot.
    """

    def __init__(self, graph: HeapGraph) -> None:
        self.graph = graph
        self.names = graph.class_names()
        self.strong = strong_edges(graph)
        self.tree = DominatorTree(graph, self.strong)
        self.counts = Counter(self.names)

    def retained_by_class(self, others: Mapping[int, int]) -> tuple[Counter[str], Counter[str]]:
        """Return what the objects of each class retain, and those that another heap has not.

        What is below another object of the same class is left out.

        Args:
            others: the numbers of the other heap's objects.
        """
        tree, number = self.tree, self.graph.id
        inside: Counter[str] = Counter()
        inside_new: Counter[str] = Counter()
        every: Counter[str] = Counter()
        new: Counter[str] = Counter()
        for node, step in _visits(tree):
            name = self.names[node]
            is_new = number[node] not in others
            if step > 0:
                if not inside[name]:
                    every[name] += tree.retained[node]
                if is_new and not inside_new[name]:
                    new[name] += tree.retained[node]
            inside[name] += step
            inside_new[name] += step * is_new
        return every, new


def _children(tree: DominatorTree) -> tuple[array[int], array[int]]:
    """Return what each object dominates at once; and where its part begins."""
    start = array("q", [0]) * (len(tree.parent) + 1)
    for parent in tree.parent:
        if parent >= 0:
            start[parent + 1] += 1
    for at in range(1, len(start)):
        start[at] += start[at - 1]
    free = array("q", start)
    found = array("q", [0]) * start[-1]
    for node, parent in enumerate(tree.parent):
        if parent >= 0:
            found[free[parent]] = node
            free[parent] += 1
    return start, found


def _visits(tree: DominatorTree) -> Iterator[tuple[int, int]]:
    """Yield each object with 1 before all that it dominates, and with -1 after it."""
    start, found = _children(tree)
    stack = [node for node, parent in enumerate(tree.parent) if parent == NONE]
    while stack:
        node = stack.pop()
        if node < 0:
            yield ~node, -1
            continue
        yield node, 1
        stack.append(~node)
        stack.extend(found[start[node] : start[node + 1]])


def heap_growth(before: HeapGraph, after: HeapGraph, most: int = 10) -> HeapGrowth:
    """Compare two snapshots.

    Args:
        before: the earlier one.
        after: the later one.
        most: constructors to return.
    """
    first, last = Heap(before), Heap(after)
    known = {number: node for node, number in enumerate(before.id)}
    same = _is_same_process(before, after, known)
    kept = dict.fromkeys(after.id, 0)
    retained_before, gone = first.retained_by_class(kept if same else {})
    retained_after, new_retained = last.retained_by_class(known if same else {})
    added = {name: new_retained[name] - gone[name] for name in last.counts}
    least = max(1.0, _LEAST_CLASS_SHARE * max(added.values()))
    grown = [
        name
        for name, count in last.counts.items()
        if count > first.counts[name]
        and retained_after[name] > retained_before[name]
        and added[name] >= least
    ]
    grown.sort(key=added.__getitem__, reverse=True)
    paths = ShortestPaths(after, last.strong)
    new = _new_objects(last, known if same else {}, set(grown[:most]))
    classes = tuple(
        ClassGrowth(
            name=name,
            count_before=first.counts[name],
            count_after=last.counts[name],
            retained_before=retained_before[name],
            retained_after=retained_after[name],
            new=len(new[name]),
            added=added[name],
            held_by=_held_by(paths, new[name]),
        )
        for name in grown[:most]
    )
    return HeapGrowth(
        size_before=sum(before.size),
        size_after=sum(after.size),
        count_before=before.count,
        count_after=after.count,
        same_process=same,
        classes=classes,
        holders=tuple(_holders(last, known, paths)) if same else (),
    )


def _is_same_process(before: HeapGraph, after: HeapGraph, known: Mapping[int, int]) -> bool:
    """Return whether objects of one number have one name, as in heaps of one process."""
    both = same = 0
    for node, number in enumerate(after.id):
        former = known.get(number)
        if former is not None:
            both += 1
            name = before.strings[before.name[former]]
            same += name == after.strings[after.name[node]]
    return same > 0 and same >= _SAME_SHARE * both


def _new_objects(last: Heap, known: Mapping[int, int], names: set[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {name: [] for name in names}
    for node, (number, name) in enumerate(zip(last.graph.id, last.names, strict=True)):
        if name in names and number not in known:
            found[name].append(node)
    return found


def _held_by(paths: ShortestPaths, nodes: Sequence[int]) -> HeldBy | None:
    """Return the chain that most of some objects have, shown for one of them."""
    step = max(1, len(nodes) // _SAMPLED)
    sampled = [node for node in nodes[::step] if paths.reaches(node)]
    if not sampled:
        return None
    chains: dict[str, list[int]] = {}
    for node in sampled:
        chains.setdefault(paths.text(node, exact=False), []).append(node)
    most = max(chains.values(), key=len)
    return HeldBy(path=paths.text(most[-1]), share=len(most) / len(sampled))


def _holders(
    last: Heap, known: Mapping[int, int], paths: ShortestPaths
) -> Iterator[HolderGrowth]:
    """Yield the objects under which new ones gather, those with most of them first."""
    tree, graph = last.tree, last.graph
    added, objects = _new_below(last, known)
    start, below = _children(tree)
    waiting, found = [0], []
    while waiting:
        node = waiting.pop()
        share = _PART_SHARE if node else _LEAST_SHARE
        least = max(1, share * added[node])
        parts = [one for one in below[start[node] : start[node + 1]] if added[one] >= least]
        if node and sum(added[one] for one in parts) < _GATHERED_SHARE * added[node]:
            found.append(node)
        else:
            waiting += parts
    for node in sorted(found, key=added.__getitem__, reverse=True)[:_MOST_HOLDERS]:
        yield HolderGrowth(
            name=last.names[node],
            id=graph.id[node],
            added=added[node],
            objects=objects[node],
            retained=tree.retained[node],
            path=paths.text(node),
        )


def _new_below(last: Heap, known: Mapping[int, int]) -> tuple[array[int], array[int]]:
    """Return the bytes and the number of new objects that each object dominates."""
    graph, tree = last.graph, last.tree
    is_new = [number not in known for number in graph.id]
    added = array("q", [s if new else 0 for s, new in zip(graph.size, is_new, strict=True)])
    objects = array("q", is_new)
    for node in reversed(tree.order):
        above = tree.parent[node]
        if above >= 0:
            added[above] += added[node]
            objects[above] += objects[node]
    return added, objects
