"""Blocks that a stretch of code allocates and leaves behind, with the stacks that did it."""

from __future__ import annotations

import re
import tracemalloc
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.probes.function_names import Functions
from pytest_memguard.probes.heap import (
    RunningProfiler,
    TrackerFolder,
    destination,
    enter,
    import_memray,
)
from pytest_memguard.probes.tracker_files import TrackerFile
from pytest_memguard.values import dataclass

_FRAMES: Final = 40
_NATIVE: Final = 12
_INSTRUMENT: Final = re.compile(
    r"call_trace$|trace_function_entry$|call_profile_func$|sys_profile_"
    r"|tracemalloc_add_trace$|traceback_new$"
)
"""What the interpreter calls for memray's sake, which makes frames into objects, and what
tracemalloc keeps for a test that has started it."""
_ALIKE: Final = 0.9
"""Share of blocks that have to be of one size for all to be called alike."""
SMALL: Final = 512
"""Bytes of the largest block that has a place in an arena."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SurvivingBlocks:
    """Blocks from one place that are still there."""

    stack: tuple[tuple[str, str, int], ...]
    """Function, file and line of every Python frame, innermost first."""
    native: tuple[str, ...]
    """C functions under the innermost Python frame, innermost first."""
    count: int
    """How many blocks."""
    size: int
    """Their bytes."""
    of_python: bool = False
    """Whether they are known to be from Python's allocators."""
    small: int = 0
    """Bytes of those that Python's allocators keep in arenas, where no C heap shows them."""
    block: int = 0
    """Bytes of each, if they are known to be alike."""


class SurvivorTracker:
    """Follows every allocation of a stretch of code; afterwards, what of it is still there.

    memray follows every allocator and C frames; where it is missing or busy, tracemalloc
    follows Python's.

    Args:
        folder: makes memray's file.

    Attributes:
        note: why it is not memray that follows, if so.
    """

    def __init__(self, folder: TrackerFolder) -> None:
        self.note = ""
        self._file = folder.new_file()
        self._tracker: Any = None
        self._before: tracemalloc.Snapshot | None = None
        self._after: tracemalloc.Snapshot | None = None
        self._ours = False

    def start(self) -> None:
        """Follow allocations from now on."""
        self._profiler = RunningProfiler()
        try:
            self._tracker = _start_memray(self._file)
        except Unmeasurable as error:
            self._profiler.switch_on()
            self.note = f"{error}; tracemalloc sees Python's memory alone"
            self._ours = not tracemalloc.is_tracing()
            if self._ours:
                tracemalloc.start(_FRAMES)
            self._before = tracemalloc.take_snapshot()

    def stop(self) -> None:
        """Follow them no longer."""
        if self._tracker is not None:
            self._tracker.__exit__(None, None, None)
            self._profiler.put_back()
        elif tracemalloc.is_tracing():
            self._after = tracemalloc.take_snapshot()
            if self._ours:
                tracemalloc.stop()
        else:
            self.note = f"{self.note}; the calls stopped it"

    def read(self) -> list[SurvivingBlocks]:
        """What was allocated and is still there."""
        if self._tracker is not None:
            return _read(self._file)
        return _difference(self._before, self._after)


def warm_up() -> str:
    """Load all that memray loads when it is first used, so that it is nobody's growth.

    Returns:
        Why it is not memray that will follow, if so.
    """
    folder = TrackerFolder()
    tracker = SurvivorTracker(folder)
    try:
        tracker.start()
        tracker.stop()
        tracker.read()
    finally:
        folder.close()
    return tracker.note


def _start_memray(file: TrackerFile) -> Any:
    memray = import_memray()
    tracker = memray.Tracker(
        destination=destination(file),
        native_traces=True,
        trace_python_allocators=True,
        file_format=memray.FileFormat.AGGREGATED_ALLOCATIONS,
    )
    try:
        enter(tracker)
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
            native = tuple(f[0] for f in record.native_stack_trace(max_stacks=_NATIVE))
        except NotImplementedError:
            native = ()
        if is_of_instruments(native):
            continue
        is_python = record.allocator in of_python
        # one record is one place, so its blocks are mostly alike
        is_small = is_python and record.size <= SMALL * record.n_allocations
        found.append(
            SurvivingBlocks(
                stack=tuple(record.stack_trace(max_stacks=_FRAMES)),
                native=native,
                count=record.n_allocations,
                size=record.size,
                of_python=is_python,
                small=record.size if is_small else 0,
            )
        )
    reader.close()
    file.close()
    return found


def is_of_instruments(native: Sequence[str]) -> bool:
    """Whether blocks are there for the sake of who follows them, and no call asked for them.

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
"""How many blocks there are of each size."""


BlocksByStack = dict[tracemalloc.Traceback, Sizes]
"""Blocks, by the stack that allocated them."""


def grown_between(before: BlocksByStack, after: BlocksByStack) -> BlocksByStack:
    """How many more blocks of each size there are than there were.

    What was replaced in between cancels out: one more and one less of the same size.

    Args:
        before: those of the earlier snapshot.
        after: those of the later one.
    """
    found = {traceback: Counter(sizes) for traceback, sizes in after.items()}
    for traceback, sizes in before.items():
        if traceback in found:
            found[traceback].subtract(sizes)
    return found


def surviving_blocks_of(
    traceback: tracemalloc.Traceback, sizes: Sizes
) -> SurvivingBlocks | None:
    """Blocks of Python's allocators from one place; None if they did not become more.

    Args:
        traceback: the stack that allocated them.
        sizes: how many more there are of each size.
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


def blocks_in(snapshot: tracemalloc.Snapshot) -> BlocksByStack:
    """The blocks of a snapshot."""
    found: BlocksByStack = defaultdict(Counter)
    for trace in snapshot.traces:
        found[trace.traceback][trace.size] += 1
    return found


def frames(traceback: Sequence[tracemalloc.Frame]) -> tuple[tuple[str, str, int], ...]:
    """The stack of a block: tracemalloc tells no functions, and the outermost frame first."""
    return tuple(("", frame.filename, frame.lineno) for frame in reversed(traceback))
