"""Computes peaks between boundaries from memray's stream of allocations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Protocol

from pytest_memguard.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """Numbers and sizes in a stream; memray's versions number functions differently."""

    boundary: int
    """Bytes of the mappings that are boundaries."""
    mmap: int
    """Number of mmap."""
    munmap: int
    """Number of munmap."""
    releases: frozenset[int]
    """Numbers of all functions that release memory."""


class Event(Protocol):
    """What is read of a memray allocation record."""

    @property
    def address(self) -> int:
        """Address of the block."""

    @property
    def size(self) -> int:
        """Its bytes; for a deallocation, what was released."""

    @property
    def allocator(self) -> int:
        """Number of the function that was called."""

    @property
    def tid(self) -> int:
        """The thread that called it."""

    @property
    def stack_id(self) -> int:
        """The stack that called it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """What happened from one boundary to the next, or to the end."""

    level: int
    """Bytes allocated at its start, of those allocated since tracking began."""
    high: int
    """The most bytes allocated at the same time in it."""
    high_event: int
    """Number of the event at which that was."""
    own_level: int
    """Like ``level``, for blocks that the boundaries' own thread allocated."""
    own_high: int
    """Like ``high``, for these blocks."""
    own_high_event: int
    """Like ``high_event``, for these blocks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """The whole stream, divided at its boundaries; the first stretch starts at boundary 0."""

    boundaries: int
    """Number of boundaries."""
    stretches: tuple[Stretch, ...]
    thread: int
    """memray's number of the thread that set the boundaries."""

    def peak(self, first: int, last: int, *, own: bool = False) -> int:
        """Return the rise above the level at boundary ``first``, up to boundary ``last``."""
        part = self.stretches[first:last]
        if own:
            return max((s.own_high for s in part), default=0) - self.stretches[first].own_level
        return max((s.high for s in part), default=0) - self.stretches[first].level

    def high_event(self, first: int, last: int, *, own: bool = False) -> int:
        """Return the event of the peak between two boundaries."""
        part = self.stretches[first:last]
        if own:
            return max(part, key=lambda s: s.own_high).own_high_event
        return max(part, key=lambda s: s.high).high_event


class _LiveBlocks:
    """The allocated blocks by address; mappings may be released in parts."""

    def __init__(self) -> None:
        self.blocks: dict[int, tuple[int, int, int]] = {}

    def release(self, event: Event, codes: Codes) -> tuple[int, int, int] | None:
        """Remove a block, and return what of it went: size, thread, stack."""
        block = self.blocks.pop(event.address, None)
        if block is None or event.allocator != codes.munmap:
            return block
        size, tid, stack = block
        if 0 < event.size < size:
            self.blocks[event.address + event.size] = (size - event.size, tid, stack)
            return (event.size, tid, stack)
        return block


class _Tally:
    """Bytes allocated now, and the most since the last boundary."""

    def __init__(self) -> None:
        self.now = self.level = self.high = self.high_event = 0

    def cut(self, number: int) -> None:
        """Begin a new stretch."""
        self.level = self.high = self.now
        self.high_event = number

    def add(self, size: int, number: int) -> None:
        """Add a block."""
        self.now += size
        if self.now > self.high:
            self.high, self.high_event = self.now, number


def replay(events: Iterable[Event], codes: Codes) -> Replay:
    """Read the stream once.

    Args:
        events: the events, in order.
        codes: numbers and sizes in the stream.
    """
    live = _LiveBlocks()
    everyone, own = _Tally(), _Tally()
    stretches: list[Stretch] = []
    thread, boundaries = -1, 0
    for number, event in enumerate(events):
        if event.allocator in codes.releases:
            gone = live.release(event, codes)  # a boundary's mapping is no live block
            if gone is not None:
                everyone.now -= gone[0]
                own.now -= gone[0] if gone[1] == thread else 0
        elif event.size == codes.boundary and event.allocator == codes.mmap:
            if thread >= 0:
                stretches.append(_stretch(everyone, own))
            thread = event.tid if thread < 0 else thread
            boundaries += 1
            everyone.cut(number)
            own.cut(number)
        else:
            live.blocks[event.address] = (event.size, event.tid, event.stack_id)
            everyone.add(event.size, number)
            if event.tid == thread:
                own.add(event.size, number)
    stretches.append(_stretch(everyone, own))
    return Replay(boundaries=boundaries, stretches=tuple(stretches), thread=thread)


def _stretch(everyone: _Tally, own: _Tally) -> Stretch:
    return Stretch(
        level=everyone.level,
        high=everyone.high,
        high_event=everyone.high_event,
        own_level=own.level,
        own_high=own.high,
        own_high_event=own.high_event,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldByStack:
    """What one call stack had allocated between two boundaries."""

    event: Event
    """One of its allocations, to read the stack from."""
    size: int
    """Bytes allocated at the peak."""
    count: int
    """Blocks allocated at the peak."""
    kept: int
    """Bytes still allocated at the last boundary."""


def held_between(
    events: Iterable[Event],
    codes: Codes,
    *,
    first: int,
    last: int,
    high_event: int,
    thread: int | None = None,
) -> Sequence[HeldByStack]:
    """Return what was allocated at the peak between two boundaries, and what stayed, by stack.

    Args:
        events: the same stream, from its start.
        codes: as for `replay`.
        first: number of the boundary where the stretch starts.
        last: number of the boundary where it ends.
        high_event: number of the event of its peak.
        thread: only blocks of this thread count.
    """
    live = _LiveBlocks()
    samples: dict[int, Event] = {}
    boundary = -1
    at_peak: dict[int, list[int]] = {}
    for number, event in enumerate(events):
        if event.allocator in codes.releases:
            live.release(event, codes)
        elif event.size == codes.boundary and event.allocator == codes.mmap:
            boundary += 1
            if boundary == last:
                break
        elif boundary >= first and (thread is None or event.tid == thread):
            live.blocks[event.address] = (event.size, event.tid, event.stack_id)
            samples.setdefault(event.stack_id, event)
        if number == high_event:
            at_peak = _by_stack(live)
    kept = _by_stack(live)
    return [
        HeldByStack(
            event=samples[stack],
            size=at_peak.get(stack, [0, 0])[0],
            count=at_peak.get(stack, [0, 0])[1],
            kept=kept.get(stack, [0, 0])[0],
        )
        for stack in at_peak.keys() | kept.keys()
    ]


def _by_stack(live: _LiveBlocks) -> dict[int, list[int]]:
    sums: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for size, _, stack in live.blocks.values():
        entry = sums[stack]
        entry[0] += size
        entry[1] += 1
    return dict(sums)
