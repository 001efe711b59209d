"""Bounds what a garbage collection freed, from what was in use before and after it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from pytest_memguard.probes.in_use import InUse

NO_GENERATION: Final = -1
OLDEST: Final = 2
# CPython 3.14 collects the older objects in increments: one of them does not reach them all.
_INCREMENTAL: Final = sys.version_info >= (3, 14)
LARGEST_SMALL_BLOCK: Final = 512
"""Bytes up to which a block comes out of pymalloc's arenas."""
LARGEST_IN_HEAP: Final = 8192
"""Bytes up to which a freed block stays resident: the pages of larger ones are given back."""


class Collection(NamedTuple):
    """A garbage collection in a phase."""

    freed: int
    """Bytes it freed, at most."""
    generation: int
    """The oldest generation that it reached."""
    resident: int = 0
    """Resident bytes just before it."""
    left: int = 0
    """Resident bytes just after it."""
    grown: int = 0
    """Bytes allocated since the full collection before, and still allocated when this one
    began."""


def done_by(generation: int) -> int:
    """Return the oldest generation that a collection leaves without older garbage."""
    return 0 if _INCREMENTAL and generation == 1 else generation


def grown_between(before: InUse, after: InUse) -> int:
    """Return by how many bytes the allocators have more in use; 0 for what is not known.

    Args:
        before: what was in use first.
        after: what was in use later.
    """
    return max(0, _more(before.heap, after.heap) + _more(before.small, after.small))


def _more(before: int | None, after: int | None) -> int:
    return 0 if before is None or after is None else after - before


def most_freed_between(before: InUse, after: InUse, objects: int) -> int:
    """Return the most bytes that a collection can have freed.

    Args:
        before: what was in use when it began.
        after: what was in use when it ended.
        objects: how many unreachable objects it found.
    """
    if not objects:
        return 0
    pages = max(0, before.resident - after.resident)
    return max(pages, _allocated(before, after))


def _allocated(before: InUse, after: InUse) -> int:
    """Return by how many bytes the allocators have less in use, at most."""
    if before.blocks is None or after.blocks is None:
        return before.resident  # one object may hold any number of others
    blocks = max(0, before.blocks - after.blocks)
    if before.heap is None or after.heap is None:
        return blocks * LARGEST_IN_HEAP
    heap = max(0, before.heap - after.heap)
    if before.small is None or after.small is None:
        return heap + blocks * LARGEST_SMALL_BLOCK
    return heap + max(0, before.small - after.small)
