"""The peak and its upper bound, from the high-water mark, the slack and the tracker."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import inf
from typing import Final

from pytest_memguard.judge.slack_thresholds import RSS_RESOLUTION
from pytest_memguard.model.measurements import Bound, Method, Peak
from pytest_memguard.model.metrics import RSS
from pytest_memguard.values import dataclass

# A block of pymalloc or malloc is at most this much larger than requested, and pool headers add
# less than 1 %.
_WASTE_PER_BLOCK: Final = 16
_POOL_SHARE: Final = 0.01
# Blocks up to this size fit into free chunks; pages of larger chunks were returned by trimming.
_FITS: Final = 8192
# memray maps a window of its file to write to it, and the window is resident.
_WINDOW: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldMemory:
    """Memory that was requested and allocated at the high-water mark, in bytes."""

    small: int
    """In blocks that may have been allocated in slack."""
    large: int
    """In blocks too large for slack."""
    waste: int
    """The most that allocators may have added to both."""


def held_at_peak(records: Iterable[tuple[int, int]]) -> HeldMemory:
    """Sum up allocation records.

    Args:
        records: size in bytes and number of blocks of each record.
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
    """Return the peak by the high-water mark; the true peak is higher by at most the slack.

    Args:
        rise: bytes by which the mark rose.
        slack: bytes of the peak that may not show in the mark.
        method: the instrument that measured the rise.
        bound: why these bytes may not show.
        unseen: bytes that sampling may have missed; ``None`` if nothing bounds them.
    """
    high = rise + slack
    return Peak(
        metric=RSS.name, value=rise, high=high, method=method, bound=bound, unseen=unseen
    )


def with_foreign(peak: Peak, size: int) -> Peak:
    """Return a peak whose upper bound includes slack of other allocators.

    Args:
        peak: by instruments that do not see it.
        size: bytes of it, at most.
    """
    bound = peak.bound if peak.high - peak.value > size else "foreign"
    return replace(peak, high=peak.high + size, bound=bound) if size else peak


def higher(one: Peak | None, other: Peak) -> Peak:
    """Return the higher of two peaks, with bounds that hold for both.

    Args:
        one: a peak; ``None`` if there is none so far.
        other: another one in the same metric.
    """
    if one is None:
        return other
    high, ceiling = max(one.high, other.high), max(one.ceiling, other.ceiling)
    return replace(
        other, value=max(one.value, other.value), high=high, unseen=unseen_below(ceiling, high)
    )


def unseen_below(ceiling: float, high: int) -> int | None:
    """Return the bytes from the highest known value up to a ceiling; ``None`` without one.

    Args:
        ceiling: bytes; infinite if nothing bounds them.
        high: the highest known value, in bytes.
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
    """Return the peak from the high-water mark and a tracker together.

    Two effects separate the mark from the true peak. Small blocks may be allocated in slack,
    and then the mark does not rise: what was allocated of them at the same time is a lower
    bound. Large blocks do not fit into slack and count as far as the mark rose, because pages
    that are never touched are not resident. And the file that the tracker writes is resident:
    the mark may be too high by that much, unless the blocks account for the rise.

    Args:
        rise: bytes by which the mark rose.
        slack: bytes that were free inside the process before, or that sampling may have missed.
        held: what the tracker recorded at the high-water mark.
        written: bytes that the tracker wrote.
        anywhere: bytes of the slack that large blocks fit into as well.
        method: the instrument that measured the rise.
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
