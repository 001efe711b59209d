"""Finds the memory of objects that a library had from malloc before the objects were made."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from pytest_memguard.attribution.leak_lines import is_through_ffi, line_of_shared

if TYPE_CHECKING:
    from pytest_memguard.attribution.marking import BlockMarker
    from pytest_memguard.attribution.pieces import Piece


def owners_of_handed_on(
    held: Collection[int], marker: BlockMarker, pieces: Sequence[Piece]
) -> dict[int, int]:
    """Return C memory that is older than all objects that refer to it, each with the oldest.

    A library may keep memory for reuse, as numpy does for small arrays. It was allocated where
    another object was made, which has let go of it. Memory that is younger than its object was
    allocated for it: a buffer that another line has filled. What ctypes or cffi called is left
    out: it knows of no object. So is what other memory refers to, by old pointers perhaps.

    Args:
        held: indices of the blocks of a leak.
        marker: finds what refers to what.
        pieces: all blocks.
    """
    found: dict[int, int] = {}
    objects = [index for index in held if pieces[index].stack and marker.is_object(index)]
    for top in sorted(objects, key=lambda index: pieces[index].order):
        for index in marker.below(top):
            if index in held and pieces[index].in_c_heap and not marker.is_object(index):
                found.setdefault(index, top)  # of several objects, the oldest
    return {
        index: top for index, top in found.items() if _is_handed_on(pieces[index], pieces[top])
    }


def _is_handed_on(piece: Piece, owner: Piece) -> bool:
    return (
        0 < piece.order < owner.order
        and line_of_shared(piece.stack) != line_of_shared(owner.stack)
        and not is_through_ffi(piece.native)
    )


def with_owners_lines(
    held: Collection[int], marker: BlockMarker, pieces: Sequence[Piece]
) -> dict[int, Piece]:
    """Return the blocks of a leak that were handed on, with the lines of their objects.

    Args:
        held: indices of the blocks.
        marker: finds what refers to what.
        pieces: all blocks.
    """
    found: dict[int, Piece] = {}
    for index, top in owners_of_handed_on(held, marker, pieces).items():
        piece: Any = pieces[index]
        owner = pieces[top]
        found[index] = cast("Piece", replace(piece, stack=owner.stack, native=owner.native))
    return found
