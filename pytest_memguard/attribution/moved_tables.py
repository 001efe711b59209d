"""Finds out how much of a table that has moved was added to it.

A table that is full gets another place with more room. What it had before is freed there, so
only what it has grown by is kept.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, cast

from pytest_memguard.attribution import raw

if TYPE_CHECKING:
    from pytest_memguard.attribution.marking import Piece

_WORD: Final = 8
_HASHED: Final = (dict, set)
_DOUBLED: Final = 2
"""How many times as much room a full table of a dict or set gets, at least."""


def share_added(container: Any, gained: int) -> float:
    """Return which part of a container's table was added, if the table has moved.

    It was full when it moved, so it had no more room than for the items of the start and some
    of those that were added.

    Args:
        container: the container.
        gained: by how many items it has grown.
    """
    now = raw.length(container) or 0
    then = now - gained
    if then <= 0:
        return 1.0
    if any(issubclass(type(container), kind) for kind in _HASHED):
        return 1 - then / max(now, _DOUBLED * then)
    if issubclass(type(container), list):
        room = (list.__sizeof__(container) - list.__sizeof__([])) // _WORD
        return 1 - then / max(now, room)
    return 1.0  # it has no table, or one that does not move


def moved(piece: Piece, share: float) -> Piece | None:
    """Return the part of a block that was added; ``None`` if it is in one of Python's arenas.

    It is no further block: there was one before.

    Args:
        piece: the block.
        share: which part was added.
    """
    if not piece.in_c_heap:
        return None
    changed: Any = piece
    return cast("Piece", replace(changed, size=round(share * piece.size), of_python=False))
