"""Fills slack, so that a test's memory raises the high-water mark."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice, repeat, starmap
from typing import Any, Final, Protocol

from pytest_memguard.sizes import MIB

ALWAYS_ALLOWED: Final = 256 * MIB
"""Bytes of filler that any process may hold."""
SHARE_OF_HIGHEST: Final = 0.5
"""Share of the highest resident memory so far that a large process may hold as filler."""
SHARE_OF_AVAILABLE: Final = 0.1
"""Share of the available memory that filler may take at a time."""
MOST_BLOCKS: Final = 1_000_000
"""Blocks made at a time: some fifty milliseconds."""
UNFILLED_POOLS: Final = 4
"""Free pools that stay unfilled: if pymalloc opened an arena there would be more slack."""
# References in a tuple of filler. Such a tuple takes more than 128 KiB, so glibc maps it by
# itself; in the C heap it would move free chunks and the end of the heap.
_REFERENCES: Final = 16_500
_LARGEST_BYTES: Final = 512
_BYTES_HEADER: Final = 33
_POOL_HEADER: Final = 48


class FillableSlack(Protocol):
    """Slack in pymalloc's pools, which filler can take; `probes.slack.Slack` for one."""

    @property
    def blocks(self) -> tuple[tuple[int, int], ...]:
        """Size and number of free blocks."""

    @property
    def pools(self) -> int:
        """Free pools."""

    @property
    def pool_size(self) -> int:
        """Bytes of a pool."""

    @property
    def small(self) -> int:
        """Bytes in all."""


class Filler:
    """Blocks that take the free places in pymalloc's pools, until they are dropped.

    The places are resident already, so filling them costs no memory at that moment. A later
    test cannot use them, so its memory raises the high-water mark. The process may become
    larger by as much as filler takes, so that is limited. The garbage collector does not
    visit the blocks: they are bytes, ints and plain objects in tuples.
    """

    def __init__(self) -> None:
        self.size = 0
        self._kept: list[tuple[Any, ...]] = []

    def drop(self) -> None:
        """Free all blocks."""
        self._kept.clear()
        self.size = 0

    def fill(self, slack: FillableSlack, highest: int, available: int) -> bool:
        """Fill the slack, as far as the limits allow.

        Args:
            slack: what the probe has measured.
            highest: the highest resident memory so far, in bytes.
            available: memory that the system can still give, in bytes.

        Returns:
            Whether all of it was filled, but for `UNFILLED_POOLS`.
        """
        allowed = max(ALWAYS_ALLOWED, int(SHARE_OF_HIGHEST * highest)) - self.size
        allowed = min(allowed, int(SHARE_OF_AVAILABLE * available))
        plan = plan_blocks(slack, allowed, MOST_BLOCKS)
        filled = sum(count for _, count in plan)
        self.size += sum(size * count for size, count in plan)
        blocks = chain.from_iterable(_blocks(size, count) for size, count in plan)
        for start in range(0, filled, _REFERENCES):
            number = min(_REFERENCES, filled - start)
            held: list[Any] = [None] * _REFERENCES
            held[:number] = islice(blocks, number)
            self._kept.append(tuple(held))
        return filled == sum(count for _, count in slack.blocks) + _in_pools(slack)


def _in_pools(slack: FillableSlack) -> int:
    """Return how many blocks of the largest size fit into the pools that may be filled."""
    return max(0, slack.pools - UNFILLED_POOLS) * (
        (slack.pool_size - _POOL_HEADER) // _LARGEST_BYTES
    )


def plan_blocks(
    slack: FillableSlack, most_bytes: int, most_blocks: int
) -> Sequence[tuple[int, int]]:
    """Return which blocks to make, as size and number: the largest first, as they fill most.

    Blocks for places in pools that are partly in use come before those for free pools:
    pymalloc uses the places in that order.

    Args:
        slack: what the probe has measured.
        most_bytes: bytes of all blocks together, at most.
        most_blocks: number of all blocks, at most.
    """
    # free pools are large and cheap to fill: their share is taken off first
    pooled = max(0, min(_in_pools(slack), most_bytes // _LARGEST_BYTES, most_blocks))
    bytes_left, blocks_left = most_bytes - pooled * _LARGEST_BYTES, most_blocks - pooled
    chosen = []
    for size, count in sorted(slack.blocks, reverse=True):
        number = min(count, bytes_left // size, blocks_left)
        if number > 0:
            chosen.append((size, number))
            bytes_left -= number * size
            blocks_left -= number
    if pooled > 0:
        chosen.append((_LARGEST_BYTES, pooled))
    return chosen


def _blocks(size: int, count: int) -> Iterator[Any]:
    """Make so many objects that take a block of this size each."""
    make: dict[int, Callable[[], Iterator[Any]]] = {
        16: lambda: starmap(object, repeat((), count)),
        32: lambda: iter(range(1 << 40, (1 << 40) + count)),
    }
    if size in make:
        return make[size]()
    return map(bytes, repeat(size - _BYTES_HEADER, count))
