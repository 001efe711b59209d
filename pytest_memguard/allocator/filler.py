"""Fills slack inside the process, so that a test's memory shows in the kernel's mark."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice, repeat, starmap
from typing import Any, Final, Protocol

from pytest_memguard.sizes import MIB

ALWAYS_ALLOWED: Final = 256 * MIB
"""Bytes of filler that may be held in any process."""
SHARE_OF_HIGHEST: Final = 0.5
"""Share of the highest resident memory seen so far that may be held in a large one."""
SHARE_OF_AVAILABLE: Final = 0.1
"""Share of the memory still available that may be held in any case."""
MOST_BLOCKS: Final = 1_000_000
"""Blocks made at a time: some fifty milliseconds."""
UNFILLED_POOLS: Final = 4
"""Free pools that are not filled: a new arena would be more slack, not less."""
# So many references take more than 128 KiB, for which glibc uses no place in the C heap, whose
# holes and ends would come to lie elsewhere.
_CHUNK: Final = 16_500
_LARGEST: Final = 512
_BYTES_HEADER: Final = 33
_POOL_HEADER: Final = 48


class FillableSlack(Protocol):
    """What is free, as `probes.slack.Slack` tells it."""

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

    The places are resident already, so filling them costs no memory at that moment; a
    later test cannot use them, and its memory becomes visible. The process may become
    larger by what is filled, which is limited. The garbage collector does not follow the
    blocks: they are bytes, ints and plain objects in tuples.
    """

    def __init__(self) -> None:
        self.size = 0
        self._kept: list[tuple[Any, ...]] = []

    def drop(self) -> None:
        """Give all of it up."""
        self._kept.clear()
        self.size = 0

    def fill(self, slack: FillableSlack, highest: int, available: int) -> bool:
        """Fill what there is, as far as the limits allow.

        Args:
            slack: what is free.
            highest: the most resident memory there has been, in bytes.
            available: memory that could still be had, in bytes.

        Returns:
            Whether all of it was filled, but for the pools that are spared.
        """
        allowed = max(ALWAYS_ALLOWED, int(SHARE_OF_HIGHEST * highest)) - self.size
        allowed = min(allowed, int(SHARE_OF_AVAILABLE * available))
        plan = plan_blocks(slack, allowed, MOST_BLOCKS)
        filled = sum(count for _, count in plan)
        self.size += sum(size * count for size, count in plan)
        blocks = chain.from_iterable(_blocks(size, count) for size, count in plan)
        for start in range(0, filled, _CHUNK):
            number = min(_CHUNK, filled - start)
            held: list[Any] = [None] * _CHUNK
            held[:number] = islice(blocks, number)
            self._kept.append(tuple(held))
        return filled == sum(count for _, count in slack.blocks) + _in_pools(slack)


def _in_pools(slack: FillableSlack) -> int:
    """Blocks of the largest size that fit into the free pools, without those spared."""
    return max(0, slack.pools - UNFILLED_POOLS) * ((slack.pool_size - _POOL_HEADER) // _LARGEST)


def plan_blocks(
    slack: FillableSlack, most_bytes: int, most_blocks: int
) -> Sequence[tuple[int, int]]:
    """Which blocks to make: size and number, the largest first, since they fill most.

    Blocks for places in pools that are partly in use come before those for free pools: the
    allocator uses the places in that order.

    Args:
        slack: what is free.
        most_bytes: limit of all together.
        most_blocks: likewise.
    """
    # free pools are large and cheap to fill: their share is taken off first
    pooled = max(0, min(_in_pools(slack), most_bytes // _LARGEST, most_blocks))
    bytes_left, blocks_left = most_bytes - pooled * _LARGEST, most_blocks - pooled
    chosen = []
    for size, count in sorted(slack.blocks, reverse=True):
        number = min(count, bytes_left // size, blocks_left)
        if number > 0:
            chosen.append((size, number))
            bytes_left -= number * size
            blocks_left -= number
    if pooled > 0:
        chosen.append((_LARGEST, pooled))
    return chosen


def _blocks(size: int, count: int) -> Iterator[Any]:
    """So many new objects that take a block of this size each."""
    make: dict[int, Callable[[], Iterator[Any]]] = {
        16: lambda: starmap(object, repeat((), count)),
        32: lambda: iter(range(1 << 40, (1 << 40) + count)),
    }
    if size in make:
        return make[size]()
    return map(bytes, repeat(size - _BYTES_HEADER, count))
