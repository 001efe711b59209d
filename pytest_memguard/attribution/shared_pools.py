"""Finds memory that a library may have handed on, so that its line says nothing about a leak.

Libraries such as HDF5 keep what their callers give back. The next caller that asks for a block
of the same size gets it, and malloc is asked only where the library has none left. The line
that malloc was asked from then need not be the line that keeps the memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from pytest_memguard.attribution.leak_lines import line_of_shared, own_functions

if TYPE_CHECKING:
    from pytest_memguard.attribution.pieces import Piece

_MOST: Final = 0.5
"""Share of a leak's blocks that must be from shared pools for its lines to be doubtful."""


def shared_pools(pieces: Iterable[Piece]) -> dict[tuple[str, int], list[Piece]]:
    """Return the blocks of pools that hand on memory, by pool and size of the blocks.

    A pool may do so if several lines have got blocks of one size from it, through different C
    functions. Where one C function has got them all, it is at fault whatever the line is.

    Args:
        pieces: the blocks of leaks.
    """
    found: dict[tuple[str, int], list[Piece]] = {}
    for piece in pieces:
        if piece.pool and piece.stack:
            found.setdefault((piece.pool, piece.size), []).append(piece)
    return {key: several for key, several in found.items() if _are_shared(several)}


def _are_shared(pieces: Sequence[Piece]) -> bool:
    by_line: dict[object, set[tuple[str, ...]]] = {}
    for piece in pieces:
        line = line_of_shared(piece.stack)
        by_line.setdefault(line, set()).add(own_functions(piece.native))
    first, *others = by_line.values()
    return any(first != other for other in others)


def shared_pool(pieces: Sequence[Piece]) -> str:
    """Return the pool that most blocks of a leak are from, if it hands them on; else nothing.

    Args:
        pieces: the blocks of the leak.
    """
    counts: Counter[str] = Counter()
    for (pool, _), several in shared_pools(pieces).items():
        counts[pool] += len(several)
    if not counts or counts.total() < _MOST * len(pieces):
        return ""
    return counts.most_common(1)[0][0]
