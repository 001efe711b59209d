"""The peak and its upper bound, from the high-water mark, the slack and the tracker."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import inf
from typing import Final

from pytest_memguard.judge.slack_thresholds import RSS_RESOLUTION
from pytest_memguard.metrics import RSS
from pytest_memguard.model import Bound, Method, Peak
from pytest_memguard.values import dataclass

# A block that pymalloc or malloc hands out is at most this much larger than asked for,
# and pool headers add less than a hundredth.
_WASTE_PER_BLOCK: Final = 16
_POOL_SHARE: Final = 0.01
# Blocks up to this fit into free places; the pages of larger ones have been given back.
_FITS: Final = 8192
# memray writes through a window of its file that counts as resident memory.
_WINDOW: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldMemory:
    """What was requested from the allocators and alive at the high-water mark, in bytes."""

    small: int
    """In blocks that may have been allocated from slack."""
    large: int
    """In blocks that cannot."""
    waste: int
    """What allocators may have added to both."""


def held_at_peak(records: Iterable[tuple[int, int]]) -> HeldMemory:
    """Sum allocation records up.

    Args:
        records: size in bytes and number of blocks.
    """
    small = large = count = 0
    for size, blocks in records:
        count += blocks
        if blocks and size / blocks <= _FITS:
            small += size
        else:
            large += size
    waste = int(count * _WASTE_PER_BLOCK + (small + large) * _POOL_SHARE)
    return HeldMemory(small=small, large=large, waste=waste)


def marked_peak(
    rise: int, slack: int, method: Method, bound: Bound = "slack", *, unseen: int | None = 0
) -> Peak:
    """Return the peak by the high-water mark: the true peak is at most the slack higher.

    Args:
        rise: bytes the mark rose.
        slack: bytes of the peak that the mark may not show.
        method: who gave the rise.
        bound: why it may not show them.
        unseen: bytes that may have been missed; ``None`` where nothing bounds that.
    """
    high = rise + slack
    return Peak(
        metric=RSS.name, value=rise, high=high, method=method, bound=bound, unseen=unseen
    )


def higher(one: Peak | None, other: Peak) -> Peak:
    """What is known of the higher of two peaks, each of which has bounds of its own.

    Args:
        one: a peak, if there is one so far.
        other: in the same metric.
    """
    if one is None:
        return other
    high, ceiling = max(one.high, other.high), max(one.ceiling, other.ceiling)
    return replace(
        other, value=max(one.value, other.value), high=high, unseen=unseen_below(ceiling, high)
    )


def unseen_below(ceiling: float, high: int) -> int | None:
    """Bytes between the highest that is known and what cannot be exceeded; ``None``: any.

    Args:
        ceiling: bytes; infinite if nothing bounds them.
        high: bytes.
    """
    return None if ceiling == inf else int(ceiling) - high


def tracked_peak(
    rise: int,
    slack: float,
    held: HeldMemory,
    written: int,
    anywhere: float = 0,
    method: Method = "kernel mark",
) -> Peak:
    """The peak by mark and tracker together.

    Two things come between the mark and the true peak. Small blocks may have come out of free
    slack, and the mark did not rise for them: what of them was alive at once is a lower
    bound. Large ones cannot; they count as far as the mark rose for them, since pages that
    were never touched are not resident. And the tracker's own file is resident while it is
    written: the mark may be that much too high, unless the blocks account for it.

    Args:
        rise: bytes the mark rose.
        slack: bytes that were free inside the process before, or that sampling may have missed.
        held: what the tracker saw.
        written: bytes the tracker wrote.
        anywhere: bytes of the slack that large blocks fit into as well.
        method: who gave the rise.
    """
    requested = held.small + held.large
    low = max(0, rise - min(written, _WINDOW))
    ours = min(rise, max(low, requested + held.waste))
    all_touched = ours + RSS_RESOLUTION >= held.large
    value = max(low, min(rise, requested))
    hidden = requested if all_touched else held.small
    if hidden > rise + RSS_RESOLUTION:
        value = int(min(hidden, rise + slack))
    ceiling = rise + min(slack, held.small + held.waste + min(anywhere, held.large))
    high = max(value, ours)
    if slack > RSS_RESOLUTION:
        high = max(high, int(min(ceiling, requested + held.waste)))
    return Peak(
        metric=RSS.name,
        value=value,
        high=high,
        method="memray estimate" if hidden > rise + RSS_RESOLUTION else method,
    )
