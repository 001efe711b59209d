"""Tracks every block that some code leaves behind, with its address and stack."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.probes.c_heap import range_of_heap
from pytest_memguard.probes.heap import TrackerFolder
from pytest_memguard.probes.memray_module import (
    RunningProfiler,
    chosen_allocators,
    destination,
    enter,
    import_memray,
    leave,
)
from pytest_memguard.probes.ours import Ours
from pytest_memguard.probes.pools import Getters, pools_among
from pytest_memguard.probes.surviving_blocks import is_of_instruments, native_of
from pytest_memguard.values import dataclass

_FRAMES: Final = 40
_MOST_RECORDS: Final = 3_000_000
"""The most allocations and deallocations that are read, at half a microsecond each."""
_MOST_BLOCKS: Final = 200_000
_INNERMOST: Final = 4
"""Frames in which the function is that had a block from malloc."""
_SMALL: Final = 512
"""Bytes up to which a block of pymalloc is in an arena."""
_NOTE_SIZE: Final = 123_457
"""Size of a block that marks the end of a part of the calls in the stream of allocations;
hardly anything else has this size."""
_NOTED: Final = _NOTE_SIZE + sys.getsizeof(b"")
_REPLACED_SHARE: Final = 0.5
"""Share of a thread's blocks that must have replaced older ones for all of them to do so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block that is still allocated."""

    address: int
    """Its address."""
    size: int
    """Its bytes."""
    stack: tuple[tuple[str, str, int], ...]
    """Function, file and line of every Python frame, innermost first."""
    native: tuple[str, ...]
    """C functions under the innermost Python frame, innermost first."""
    of_python: bool
    """Whether it is from Python's allocators, which count it."""
    count: int = 1
    """How many blocks this is: one."""

    is_mapped: bool = False
    """Whether the system mapped it, and no allocator knows of it."""
    of_instruments: bool = False
    """Whether it exists only because allocations are tracked."""
    part: int = 0
    """How many times `BlockTracker.note` was called before the block was allocated."""
    order: int = 0
    """Its place in the order in which the blocks were allocated, from 1."""
    tables: int = 0
    """Whether it is a table that was there before, and only its bytes are more: 1 or 0."""
    pool: str = ""
    """The C function that had it from malloc, if it gives hardly any memory back."""

    @property
    def block(self) -> int:
        """Its bytes; other classes say here whether all blocks have one size."""
        return self.size

    @property
    def small(self) -> int:
        """Its bytes, if it is in an arena of Python's allocators; otherwise 0."""
        return 0 if self.in_c_heap or self.is_mapped else self.size

    @property
    def in_c_heap(self) -> bool:
        """Whether its memory is from the C library."""
        return not self.is_mapped and (not self.of_python or self.size > _SMALL)


class BlockTracker:
    """Tracks every allocation, so that blocks are known by their addresses.

    Args:
        folder: makes memray's file.
    """

    def __init__(self, folder: TrackerFolder) -> None:
        self._file = folder.new_file()
        self._tracker: Any = None
        self._chosen = chosen_allocators()

    def start(self) -> None:
        """Start to track.

        Raises:
            Unmeasurable: if memray cannot track.
        """
        memray = import_memray()
        self._profiler = RunningProfiler()
        tracker = memray.Tracker(
            destination=destination(self._file),
            native_traces=True,
            trace_python_allocators=True,
        )
        try:
            enter(tracker, self._chosen)
        except RuntimeError as error:
            self._profiler.switch_on()
            msg = f"memray tracks something else at the same time ({error})"
            raise Unmeasurable(msg) from error
        self._tracker = tracker

    def note(self) -> None:
        """Mark the stream: later allocations belong to the next part of the calls."""
        bytes(_NOTE_SIZE)

    def stop(self) -> None:
        """Stop tracking."""
        if self._tracker is not None:
            leave(self._tracker, self._chosen)
            self._profiler.put_back()

    def read(self) -> list[Block] | None:
        """Return the blocks still allocated; ``None`` if there are too many records."""
        memray = import_memray()
        reader = memray.FileReader(self._file.path)
        try:
            if reader.metadata.total_allocations > _MOST_RECORDS:
                return None
            with Ours.counted():
                return _live_blocks(reader, memray.AllocatorType)
        finally:
            reader.close()
            self._file.close()


def _live_blocks(reader: Any, kinds: Any) -> list[Block] | None:
    frees = {int(kinds.FREE), int(kinds.MUNMAP), int(kinds.PYMALLOC_FREE)}
    alive: dict[int, tuple[Any, int]] = {}
    freed: Counter[int] = Counter()
    gone = _Freed()
    part, thread = 0, None
    for record in reader.get_allocation_records():
        if record.allocator in frees:
            known = alive.pop(record.address, None)
            if known is None:
                freed[record.tid] += 1
            else:
                gone.add(known[0])
        else:
            alive[record.address] = (record, part)
            if record.size == _NOTED and _is_note(record):
                part, thread = part + 1, record.tid
    if len(alive) > _MOST_BLOCKS:
        return None
    if thread is not None:
        alive = _without_replaced(alive, freed, thread)
    of_python = {
        int(kinds.PYMALLOC_MALLOC),
        int(kinds.PYMALLOC_CALLOC),
        int(kinds.PYMALLOC_REALLOC),
    }
    stacks: dict[tuple[int, int], tuple[Any, Any]] = {}
    heap = heap_addresses()
    blocks = [
        _block(
            record,
            stacks,
            part,
            order,
            of_python=record.allocator in of_python
            and not (record.size <= _SMALL and record.address in heap),
            is_mapped=record.allocator == int(kinds.MMAP),
        )
        for _, order, (record, part) in sorted(
            (
                (address, order, known)
                for order, (address, known) in enumerate(alive.items(), 1)
            ),
            key=itemgetter(0),
        )
    ]
    return _with_pools(blocks, gone)


class _Freed:
    """How many blocks from each stack of C functions were freed."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._records: dict[int, Any] = {}

    def add(self, record: Any) -> None:
        """Count a block that was freed."""
        key = getattr(record, "native_stack_id", 0)
        self._counts[key] += 1
        self._records.setdefault(key, record)

    def by_getter(self, getters: Getters) -> Counter[str]:
        """Return the counts by the function that had the blocks from malloc."""
        found: Counter[str] = Counter()
        for key, count in self._counts.items():
            native = self._records[key].native_stack_trace(max_stacks=_INNERMOST)
            found[getters.of([frame[0] for frame in native])] += count
        return found


def _with_pools(blocks: list[Block], gone: _Freed) -> list[Block]:
    """Return the blocks, with the pools that some are from."""
    getters = Getters()
    names = [getters.of(one.native) if one.in_c_heap else "" for one in blocks]
    if not any(names):
        return blocks
    pools = pools_among(names, gone.by_getter(getters))
    return [
        replace(one, pool=name) if name in pools else one
        for one, name in zip(blocks, names, strict=True)
    ]


def _without_replaced(
    alive: dict[int, tuple[Any, int]], freed: Counter[int], own: int
) -> dict[int, tuple[Any, int]]:
    """Return the blocks without those of threads that freed as many older ones meanwhile.

    A thread that was there before, and waits in a loop, replaces a lock each time.

    Args:
        alive: the records of the blocks, by address.
        freed: how many blocks from before each thread has freed.
        own: the thread that made the calls.
    """
    made = Counter(record.tid for record, _ in alive.values())
    replacing = {
        thread
        for thread, count in made.items()
        if thread != own and freed[thread] >= _REPLACED_SHARE * count
    }
    return {address: known for address, known in alive.items() if known[0].tid not in replacing}


def _is_note(record: Any) -> bool:
    """Return whether `BlockTracker.note` made this allocation, and not a test by chance."""
    return any(file == __file__ for _, file, _ in record.stack_trace(max_stacks=1))


def heap_addresses() -> range:
    """Return the addresses of the C heap, which never contains Python's arenas.

    A small block in it is from ``PyMem_RawMalloc``, which memray does not distinguish.
    """
    try:
        maps = Path("/proc/self/maps").read_bytes()
    except OSError:
        return range(0)
    return range_of_heap(maps) or range(0)


def _block(
    record: Any,
    stacks: dict[tuple[int, int], tuple[Any, Any]],
    part: int,
    order: int,
    *,
    of_python: bool,
    is_mapped: bool,
) -> Block:
    key = (record.stack_id, getattr(record, "native_stack_id", 0))
    if key not in stacks:
        stacks[key] = (tuple(record.stack_trace(max_stacks=_FRAMES)), native_of(record))
    stack, native = stacks[key]
    return Block(
        address=record.address,
        size=record.size,
        stack=stack,
        native=native,
        of_python=of_python,
        is_mapped=is_mapped,
        of_instruments=is_of_instruments(native),
        part=part,
        order=order,
    )
