"""Finds what else holds the contents of a container, which has to let go of them as well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pytest_memguard.attribution import raw
from pytest_memguard.attribution.marking import BlockMarker
from pytest_memguard.attribution.new_objects import NewObjects
from pytest_memguard.attribution.pieces import Piece
from pytest_memguard.attribution.retention import Search, retention_path
from pytest_memguard.attribution.roots import LAST_RESORT
from pytest_memguard.model.leaks import RetentionPath

_MOST: Final = 0.5
"""Share of an item's blocks that something else has to hold."""
_LARGEST: Final = 500
"""Items of more blocks are not examined."""


def second_holder(
    containers: Sequence[Any],
    held: set[int],
    marker: BlockMarker,
    pieces: Sequence[Piece],
    search: Search,
    new_objects: NewObjects,
) -> RetentionPath | None:
    """Return the path to what holds most of an item beside the containers, if anything does.

    Such a holder need not be a container that grows: a tuple that each call replaces by a
    longer one holds the items of all calls.

    Args:
        containers: those that hold the items, and have grown.
        held: indices of the blocks that they hold.
        marker: finds the blocks of objects.
        pieces: all blocks.
        search: finds retention paths.
        new_objects: what the calls left behind.
    """
    blocks = _blocks_of_an_item(containers, held, marker, pieces)
    if not 0 < len(blocks) <= _LARGEST:
        return None
    least = _MOST * len(blocks)
    targets = [
        one
        for index in sorted(blocks)
        for one in marker.objects([index])
        if len(marker.reached(index) & blocks) >= least
    ]
    if not targets:
        return None
    parts = [part for one in containers for part in (one, *raw.tables(one))]
    others = search.without({id(parts), *map(id, parts)})
    for chain in others.chains(targets)[:1]:
        if chain.crowded or chain.root.rank >= LAST_RESORT:
            return None
        path = retention_path(chain, roots=others.roots, new=new_objects.ids)
        return None if path.owner or path.bounded else path
    return None


def _blocks_of_an_item(
    containers: Sequence[Any], held: set[int], marker: BlockMarker, pieces: Sequence[Piece]
) -> set[int]:
    """Return the blocks of an item from before the last calls, which something may hold yet."""
    last = max((pieces[index].part for index in held), default=0)
    for container in containers:
        items = marker.indices_of(map(id, raw.referents(*raw.tables(container), container)))
        for index in sorted(items & held):
            if 0 < pieces[index].part < last and marker.objects([index]):
                return marker.reached(index) & held
    return set()
