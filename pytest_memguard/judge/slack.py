"""How slack inside the process bounds what the kernel's mark can miss."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import inf
from typing import Final

from pytest_memguard.metrics import RSS
from pytest_memguard.model import Bound, Method, Peak
from pytest_memguard.values import dataclass

# Slack up to this share of a budget leaves the kernel's mark good enough; beyond
# TRACK_SHARE the mark could miss so much that the exact tracker is used from the start.
KNOWN_SHARE: Final = 0.05
TRACK_SHARE: Final = 0.25
# Below this the mark's own resolution (pages the kernel has not added up yet) is as large.
RSS_RESOLUTION: Final = RSS.resolution
# A block that pymalloc or malloc hands out is at most this much larger than asked for,
# and pool headers add less than a hundredth.
_WASTE_PER_BLOCK: Final = 16
_POOL_SHARE: Final = 0.01
# Blocks up to this fit into free places; the pages of larger ones have been given back.
_FITS: Final = 8192
# memray writes through a window of its file that counts as resident memory.
_WINDOW: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What was requested from the allocators and alive at the high-water mark, in bytes."""

    small: int
    """In blocks that may have come out of slack."""
    large: int
    """In blocks that cannot."""
    waste: int
    """What allocators may have added to both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """How much slack inside the process a measurement can bear."""

    enough: int
    """Bytes up to which it does not matter."""
    lay: int
    """Bytes from which it is filled for good."""
    fill: float
    """Bytes from which it is filled for the time of the measurement."""
    tracker: float
    """Bytes from which the kernel's mark cannot judge, so that the exact tracker is used."""


# Slack up to this does not count where a peak is stored or compared with a stored one:
# it is half of what the default rule lets pass, and another run of the same tests has much
# the same.
NEGLIGIBLE: Final = 1024 * 1024
# What takes some tenths of a millisecond to fill.
_MUCH: Final = 4 * 1024 * 1024
# What a peak that is going to be stored is measured with. The tracker would make every test
# slower that comes after one that left slack, and what it gives is no closer to another
# reading of the mark than the mark is to itself.
FOR_RECORD: Final = Precision(
    enough=NEGLIGIBLE // 2, lay=_MUCH, fill=NEGLIGIBLE // 2, tracker=inf
)


def precision_for(limit: int, former: int | None = None) -> Precision:
    """How much slack the judgement of a peak can bear.

    Args:
        limit: bytes it must not exceed.
        former: bytes on record, for a limit that lies so much above them: the slack must be
            small beside that margin, not beside the limit.
    """
    if former is None:
        tracker = tracker_from(limit)
        return Precision(
            enough=allowance(limit), lay=allowance(limit), fill=tracker, tracker=tracker
        )
    enough = max((limit - former) // 4, FOR_RECORD.enough)
    return replace(FOR_RECORD, enough=enough, fill=enough)


def finest(several: Iterable[Precision]) -> Precision:
    """What the most demanding of some measurements needs, each by itself."""
    all_of_them = list(several)
    return Precision(
        enough=min(p.enough for p in all_of_them),
        lay=min(p.lay for p in all_of_them),
        fill=min(p.fill for p in all_of_them),
        tracker=min(p.tracker for p in all_of_them),
    )


def held_at_peak(records: Iterable[tuple[int, int]]) -> Held:
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
    return Held(small=small, large=large, waste=waste)


def tracker_from(limit: int) -> int:
    """Bytes of slack from which the kernel's mark cannot judge a test with this budget."""
    return max(int(TRACK_SHARE * limit), RSS_RESOLUTION)


def allowance(limit: int) -> int:
    """Bytes of slack that do not matter for this budget."""
    return max(int(KNOWN_SHARE * limit), RSS_RESOLUTION)


def marked_peak(
    rise: int, slack: int, method: Method, bound: Bound = "slack", *, unseen: int | None = 0
) -> Peak:
    """The peak by the kernel's mark: the truth lies between it and it plus the slack.

    Args:
        rise: bytes the mark rose.
        slack: bytes of its peak that the mark may not show.
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
    held: Held,
    written: int,
    anywhere: float = 0,
    method: Method = "kernel mark",
) -> Peak:
    """The peak by mark and tracker together.

    Two things come between the mark and the truth. Small blocks may have come out of free
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
