"""Finds what else holds the contents of a container, which has to let go of them as well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from pytest_memguard.attribution import raw
from pytest_memguard.attribution.marking import BlockMarker
from pytest_memguard.attribution.new_objects import NewObjects
from pytest_memguard.attribution.pieces import Piece
from pytest_memguard.attribution.retention import Search, retention_path
from pytest_memguard.attribution.roots import LAST_RESORT
from pytest_memguard.model.leaks import RetentionPath, without_keys

_MOST: Final = 0.5
"""Share of an item's blocks that something else has to hold."""
_LARGEST: Final = 500
"""Items of more blocks are not examined."""
_AGREE: Final = 2
"""So many of the three items that are examined at most decide."""


def second_holder(
    containers: Sequence[Any],
    held: set[int],
    marker: BlockMarker,
    pieces: Sequence[Piece],
    search: Search,
    new_objects: NewObjects,
) -> RetentionPath | None:
    """Return the path to what holds most of the items beside the containers, if anything does.

    Such a holder need not be a container that grows: a tuple that each call replaces by a
    longer one holds the items of all calls. A single item may be held by chance, or by
    something that hides the holder of all. If nothing at all holds the first one, the others
    are not examined: a search without a result takes the longest.

    Args:
        containers: those that hold the items, and have grown.
        held: indices of the blocks that they hold.
        marker: finds the blocks of objects.
        pieces: all blocks.
        search: finds retention paths.
        new_objects: what the calls left behind.
    """
    parts = [part for one in containers for part in (one, *raw.tables(one))]
    others = search.without({id(parts), *map(id, parts)})
    votes: dict[str, list[RetentionPath | None]] = {}
    for blocks in _items(containers, held, marker, pieces):
        is_held, path = _holder_of(blocks, marker, others, new_objects)
        if others.timed_out or not (is_held or votes):
            break
        several = votes.setdefault(without_keys(path.holder) if path else "", [])
        several.append(path)
        if len(several) >= _AGREE:
            return several[0]
    return next(iter(votes.values()))[0] if len(votes) == 1 else None


def _holder_of(
    blocks: set[int], marker: BlockMarker, others: Search, new_objects: NewObjects
) -> tuple[bool, RetentionPath | None]:
    """Return whether anything holds an item, and the path to what has to let go of it."""
    chains = others.chains(_targets(blocks, marker))
    for chain in chains:
        if not chain.crowded and chain.root.rank < LAST_RESORT:
            path = retention_path(chain, roots=others.roots, new=new_objects.ids)
            if path.holder and not (path.owner or path.bounded):
                return True, path
    return bool(chains), None


def _targets(blocks: set[int], marker: BlockMarker) -> list[Any]:
    """Return the objects of an item that lead to most of its blocks."""
    least = _MOST * len(blocks)
    return [
        one
        for index in sorted(blocks)
        for one in marker.objects([index])
        if len(marker.reached(index) & blocks) >= least
    ]


def _items(
    containers: Sequence[Any], held: set[int], marker: BlockMarker, pieces: Sequence[Piece]
) -> Iterator[set[int]]:
    """Yield the blocks of a few items from before the last calls, which may be held yet.

    They are the first one, the last and one from the middle of those of a container.
    """
    last = max((pieces[index].part for index in held), default=0)
    for container in containers:
        items = marker.indices_of(map(id, raw.referents(*raw.tables(container), container)))
        known = sorted(
            index
            for index in items & held
            if 0 < pieces[index].part < last and marker.objects([index])
        )
        if known:
            for index in dict.fromkeys([known[0], known[-1], known[len(known) // 2]]):
                blocks = marker.reached(index) & held
                if 0 < len(blocks) <= _LARGEST:
                    yield blocks
            return
