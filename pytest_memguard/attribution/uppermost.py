"""Sorts blocks so that what holds others comes before them, in cycles as well."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

from pytest_memguard.attribution.marking import BlockMarker
from pytest_memguard.attribution.pieces import Piece


def from_above(unclaimed: set[int], marker: BlockMarker, pieces: Sequence[Piece]) -> list[int]:
    """Return the blocks, first those that no other refers to, and objects before others.

    Native memory may contain pointers that are no longer valid. Where all blocks are in cycles,
    as those that the frames of a traceback hold, a cycle comes before what it refers to.

    Args:
        unclaimed: indices of the blocks.
        marker: finds what refers to what.
        pieces: all blocks.
    """
    below = {index: marker.below(index) & unclaimed for index in unclaimed}
    held = set(chain.from_iterable(below.values()))
    ranks = _Cycles(sorted(held), lambda index: _through_tables(index, below, marker)).ranks

    def key(index: int) -> tuple[bool, bool, int, bool, int]:
        is_native = not marker.is_object(index)
        rank = 0 if is_native else ranks.get(index, 0)
        return (index in held, is_native, rank, not pieces[index].stack, index)

    return sorted(unclaimed, key=key)


def _through_tables(
    index: int, below: dict[int, set[int]], marker: BlockMarker
) -> Iterable[int]:
    """Return what an object refers to; of other blocks only the tables of dicts count."""
    if not marker.is_object(index):
        return ()
    found = below[index]
    if marker.is_plain_dict(index):
        tables = (below[other] for other in found if not marker.is_object(other))
        found = found.union(*tables)
    return found


class _Cycles:
    """Ranks nodes: what refers to others has a lower rank; nodes of one cycle have the same.

    It is Tarjan's algorithm for strongly connected components, which finds them from below.

    Args:
        nodes: the nodes; others are ignored.
        below: returns the nodes that a node refers to.
    """

    def __init__(self, nodes: Sequence[int], below: Callable[[int], Iterable[int]]) -> None:
        self._below = below
        self._unseen = dict.fromkeys(nodes)
        self._lowest: dict[int, int] = {}
        self._order: dict[int, int] = {}
        self._open: list[int] = []
        self.ranks: dict[int, int] = {}
        while self._unseen:
            self._visit(next(iter(self._unseen)))

    def _visit(self, start: int) -> None:
        branch = [self._enter(start)]
        while branch:
            node, others = branch[-1]
            new = next((other for other in others if self._is_new(node, other)), None)
            if new is not None:
                branch.append(self._enter(new))
                continue
            branch.pop()
            if branch:
                above = branch[-1][0]
                self._lowest[above] = min(self._lowest[above], self._lowest[node])
            if self._lowest[node] == self._order[node]:
                self._close(node)

    def _enter(self, node: int) -> tuple[int, Iterator[int]]:
        del self._unseen[node]
        self._order[node] = self._lowest[node] = len(self._order)
        self._open.append(node)
        return (node, iter(self._below(node)))

    def _is_new(self, node: int, other: int) -> bool:
        """Return whether a node was not visited; note a way back to one of this branch."""
        if other in self._order and other not in self.ranks:
            self._lowest[node] = min(self._lowest[node], self._order[other])
        return other in self._unseen

    def _close(self, first: int) -> None:
        """Give a rank to a cycle, of which all nodes were visited."""
        rank = -len(self.ranks)
        while first not in self.ranks:
            self.ranks[self._open.pop()] = rank
