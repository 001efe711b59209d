"""Finds out how much of a block is new, if it is a table that has taken the place of another.

A table that is full gets another place with more room. What it had before is freed there, so
only what it has grown by is kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from pytest_memguard.attribution.marking import BlockMarker
    from pytest_memguard.attribution.old_tables import GrownTable
    from pytest_memguard.attribution.pieces import Piece

_SEVERAL: Final = 4
"""So many tables that have moved stand for those of others that are alike."""


def shares_added(tables: Iterable[GrownTable], marker: BlockMarker) -> dict[int, float]:
    """Return which part of each block was added, for blocks that are tables of old containers.

    Containers to which as much was added are alike. If several of them have moved, their blocks
    stand for all: what was added to the others is not in any block.

    Args:
        tables: tables that have grown.
        marker: knows the blocks by their addresses, and which objects are new ones that have
            the place of an old one.
    """
    alike: dict[tuple[type, int], list[GrownTable]] = defaultdict(list)
    for table in tables:
        if not marker.is_new(table.container):
            gained = table.length - table.before
            alike[type(table.container), gained].append(table)
    found: dict[int, float] = {}
    for (_, gained), several in alike.items():
        blocks = {
            index: table for table in several for index in marker.indices_of([table.address])
        }
        times = len(several) / len(blocks) if len(blocks) >= _SEVERAL else 1.0
        for index, table in blocks.items():
            found[index] = max(0.0, times * gained / max(1, table.length))
    return found


def moved(piece: Piece, share: float) -> Piece:
    """Return the part of a block that was added: it is no further block.

    Args:
        piece: the block.
        share: which part was added.
    """
    changed: Any = piece
    of_python = piece.of_python and not piece.in_c_heap  # its place does not follow its size
    size = round(share * piece.size)
    return cast("Piece", replace(changed, size=size, of_python=of_python, count=0, tables=1))
