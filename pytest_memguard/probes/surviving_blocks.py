"""Finds the blocks that some code allocates and leaves behind, with their stacks."""

from __future__ import annotations

import re
import tracemalloc
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.probes.function_names import Functions
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
from pytest_memguard.probes.own_allocators import ChosenAllocators
from pytest_memguard.probes.tracker_files import TrackerFile
from pytest_memguard.values import dataclass

_FRAMES: Final = 40
_NATIVE: Final = 12
"""So many C functions are read at first: most code needs no more."""
_ALL_NATIVE: Final = 256
"""So many are read where none of the first ones is the interpreter's."""
_RUNS_PYTHON: Final = re.compile(r"_?PyEval_EvalFrame")
_INSTRUMENT: Final = re.compile(
    r"call_trace$|trace_function_entry$|call_profile_func$|sys_profile_"
    r"|tracemalloc_add_trace$|traceback_new$"
)
"""C functions that the interpreter calls because memray tracks, which makes objects of frames,
or because a test has started tracemalloc."""
_RESIZES: Final = re.compile(r"dictresize$|insertion_resize$|set_table_resize$")
"""C functions that get a new table where others ask for more room."""
_ALIKE: Final = 0.9
"""Share of the blocks that must have one size for all to be called alike."""
SMALL: Final = 512
"""Bytes of the largest block that is in an arena."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SurvivingBlocks:
    """Blocks from one stack that are still allocated."""

    stack: tuple[tuple[str, str, int], ...]
    """Function, file and line of every Python frame, innermost first."""
    native: tuple[str, ...]
    """C functions under the innermost Python frame, innermost first."""
    count: int
    """Number of blocks."""
    size: int
    """Their bytes."""
    of_python: bool = False
    """Whether they are known to be from Python's allocators."""
    small: int = 0
    """Bytes of those in arenas of Python's allocators, which are not in the C heap."""
    block: int = 0
    """Bytes of each block, if they are known to be alike; otherwise 0."""
    tables: int = 0
    """Number of tables that were there before, whose bytes alone have become more."""
    may_have_moved: bool = False
    """Whether they may be tables that have taken the place of others."""


class SurvivorTracker:
    """Tracks every allocation of some code, and returns which blocks are still allocated.

    memray tracks every allocator and C frames; if it is missing or in use, tracemalloc tracks
    Python's allocators.

    Args:
        folder: makes memray's file.

    Attributes:
        note: why memray does not track; empty if it does.
    """

    def __init__(self, folder: TrackerFolder) -> None:
        self.note = ""
        self._file = folder.new_file()
        self._tracker: Any = None
        self._before: tracemalloc.Snapshot | None = None
        self._after: tracemalloc.Snapshot | None = None
        self._ours = False
        self._chosen = chosen_allocators()

    def start(self) -> None:
        """Start to track."""
        self._profiler = RunningProfiler()
        try:
            self._tracker = _start_memray(self._file, self._chosen)
        except Unmeasurable as error:
            self._profiler.switch_on()
            self.note = f"{error}; tracemalloc sees Python's memory alone"
            self._ours = not tracemalloc.is_tracing()
            if self._ours:
                tracemalloc.start(_FRAMES)
            self._before = tracemalloc.take_snapshot()

    def stop(self) -> None:
        """Stop tracking."""
        if self._tracker is not None:
            leave(self._tracker, self._chosen)
            self._profiler.put_back()
        elif tracemalloc.is_tracing():
            self._after = tracemalloc.take_snapshot()
            if self._ours:
                tracemalloc.stop()
        else:
            self.note = f"{self.note}; the calls stopped it"

    def read(self) -> list[SurvivingBlocks]:
        """Return the blocks that were allocated and still are."""
        if self._tracker is not None:
            with Ours.counted():
                return _read(self._file)
        return _difference(self._before, self._after)


class _Warm:
    """Whether memray has loaded everything."""

    done = False


def warm_up() -> str:
    """Load everything that memray loads on its first use, so that it does not count as growth.

    Returns:
        Why memray will not track; empty if it will.
    """
    folder = TrackerFolder()
    tracker = SurvivorTracker(folder)
    try:
        tracker.start()
        tracker.stop()
        tracker.read()
    finally:
        folder.close()
    _Warm.done = _Warm.done or not tracker.note
    return tracker.note


def is_warm() -> bool:
    """Return whether memray will track; the first time, it loads everything."""
    return _Warm.done or not warm_up()


def _start_memray(file: TrackerFile, chosen: ChosenAllocators) -> Any:
    memray = import_memray()
    tracker = memray.Tracker(
        destination=destination(file),
        native_traces=True,
        trace_python_allocators=True,
        file_format=memray.FileFormat.AGGREGATED_ALLOCATIONS,
    )
    try:
        enter(tracker, chosen)
    except RuntimeError as error:
        msg = f"memray tracks something else at the same time ({error})"
        raise Unmeasurable(msg) from error
    return tracker


def _read(file: TrackerFile) -> list[SurvivingBlocks]:
    memray = import_memray()
    kinds = memray.AllocatorType  # whose numbers are others in older versions
    of_python = {kinds.PYMALLOC_MALLOC, kinds.PYMALLOC_CALLOC, kinds.PYMALLOC_REALLOC}
    reader = memray.FileReader(file.path)
    found = []
    for record in reader.get_leaked_allocation_records(merge_threads=True):
        try:
            native = native_of(record)
        except NotImplementedError:
            native = ()
        stack = tuple(record.stack_trace(max_stacks=_FRAMES))
        if is_of_instruments(native) or (record.allocator == kinds.MMAP and not stack):
            continue  # mapped by the interpreter for a thread: no part of the C heap
        is_python = record.allocator in of_python
        # one record is one place, so its blocks are mostly alike
        is_small = is_python and record.size <= SMALL * record.n_allocations
        found.append(
            SurvivingBlocks(
                stack=stack,
                native=native,
                count=record.n_allocations,
                size=record.size,
                of_python=is_python,
                small=record.size if is_small else 0,
                may_have_moved=record.allocator == kinds.PYMALLOC_REALLOC
                or any(map(_RESIZES.match, native)),
            )
        )
    reader.close()
    file.close()
    return found


def native_of(record: Any) -> tuple[str, ...]:
    """Return the C functions of a memray record up to where Python called the outermost.

    A parser may call itself many times before it allocates.

    Args:
        record: has ``native_stack_trace(max_stacks=...)``.
    """
    for most in (_NATIVE, _ALL_NATIVE):
        found = tuple(frame[0] for frame in record.native_stack_trace(max_stacks=most))
        if len(found) < most or any(map(_RUNS_PYTHON.match, found)):
            return found
    return found


def is_of_instruments(native: Sequence[str]) -> bool:
    """Return whether blocks exist only because allocations are tracked.

    Args:
        native: the C functions that allocated them.
    """
    return any(map(_INSTRUMENT.match, native))


def _difference(
    before: tracemalloc.Snapshot | None, after: tracemalloc.Snapshot | None
) -> list[SurvivingBlocks]:
    if before is None or after is None:
        return []
    functions = Functions()
    grown = grown_between(blocks_in(before), blocks_in(after)).items()
    found = [surviving_blocks_of(traceback, sizes) for traceback, sizes in grown]
    return [replace(s, stack=functions.named(s.stack)) for s in found if s is not None]


Sizes = Counter[int]
"""Number of blocks by size."""


BlocksByStack = dict[tracemalloc.Traceback, Sizes]
"""Blocks by the stack that allocated them."""


def grown_between(before: BlocksByStack, after: BlocksByStack) -> BlocksByStack:
    """Return how many more blocks of each size there are by stack.

    A block that was replaced by one of the same size cancels out.

    Args:
        before: blocks of the earlier snapshot.
        after: blocks of the later snapshot.
    """
    found = {traceback: Counter(sizes) for traceback, sizes in after.items()}
    for traceback, sizes in before.items():
        if traceback in found:
            found[traceback].subtract(sizes)
    return found


def surviving_blocks_of(
    traceback: tracemalloc.Traceback, sizes: Sizes
) -> SurvivingBlocks | None:
    """Return blocks of Python's allocators from one stack; ``None`` if there are not more.

    Args:
        traceback: the stack that allocated them.
        sizes: how many more blocks there are by size.
    """
    count = sizes.total()
    size = sum(size * number for size, number in sizes.items())
    if size <= 0 or count < 0:
        return None
    small = sum(size * number for size, number in sizes.items() if size <= SMALL)
    commonest = max(sizes, key=sizes.__getitem__)
    return SurvivingBlocks(
        stack=frames(traceback),
        native=(),
        count=count,
        size=size,
        of_python=True,
        small=min(size, max(0, small)),
        block=commonest if sizes[commonest] >= _ALIKE * count > 0 else 0,
    )


def grown_tables_of(
    traceback: tracemalloc.Traceback, tables: Sequence[tuple[int, float]]
) -> SurvivingBlocks:
    """Return tables of Python's containers that have only become larger: they are no blocks.

    Args:
        traceback: the stack that made room for more.
        tables: the bytes of each, and those of what was added to it.
    """
    return SurvivingBlocks(
        stack=frames(traceback),
        native=(),
        count=0,
        size=max(0, round(sum(added for _, added in tables))),
        of_python=True,
        small=max(0, round(sum(added for size, added in tables if size <= SMALL))),
        tables=len(tables),
    )


def blocks_in(snapshot: tracemalloc.Snapshot) -> BlocksByStack:
    """Return the blocks of a snapshot."""
    found: BlocksByStack = defaultdict(Counter)
    for trace in snapshot.traces:
        found[trace.traceback][trace.size] += 1
    return found


def frames(traceback: Sequence[tracemalloc.Frame]) -> tuple[tuple[str, str, int], ...]:
    """Return the stack of a block, innermost frame first; tracemalloc has no functions."""
    return tuple(("", frame.filename, frame.lineno) for frame in reversed(traceback))
