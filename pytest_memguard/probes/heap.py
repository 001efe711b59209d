"""Tracks every allocation of some code with memray: exact peaks, and allocation sites."""

from __future__ import annotations

import itertools
import mmap
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.probes.memray_module import (
    RunningProfiler,
    chosen_allocators,
    destination,
    enter,
    import_memray,
    leave,
)
from pytest_memguard.probes.resident import mapped_files
from pytest_memguard.probes.tracker_files import NamedFile, System, TrackerFile

if TYPE_CHECKING:
    import memray

# An mmap of this odd length, given back at once and never touched, is how a boundary
# between two stretches gets into memray's stream of allocations.
BOUNDARY_SIZE: Final = 65_521


class HeapTracker:
    """Tracks some code with memray, small Python objects included.

    Every allocation is written to a file. A table in this process would take 170 bytes for each
    allocated block, which the high-water mark would show as memory of the test.

    Args:
        folder: makes the file.
        give_way: called when other code wants to track, because memray can track only once at a
            time. It has to call `stop`. Without it, the other code fails.

    Raises:
        Unmeasurable: if memray is missing, or already tracks something else.
    """

    def __init__(
        self, folder: TrackerFolder, give_way: Callable[[], object] | None = None
    ) -> None:
        self._memray = memray = import_memray()
        self._class = memray.Tracker
        self._file = folder.new_file()
        self.boundaries = 0
        self._tracker = memray.Tracker(
            destination=destination(self._file), trace_python_allocators=True
        )
        self._chosen = chosen_allocators()
        self._profiler = RunningProfiler()
        try:
            enter(self._tracker, self._chosen)
        except RuntimeError as error:
            self._profiler.switch_on()
            self._file.close()
            msg = f"memray tracks something else at the same time ({error})"
            raise Unmeasurable(msg) from error
        self._mapped = mapped_files()
        if give_way is not None:

            def tracker(*args: Any, **kwargs: Any) -> Any:
                give_way()
                return self._class(*args, **kwargs)

            memray.Tracker = tracker

    def mark(self) -> int:
        """Put a boundary into the stream of allocations, and return its number, from 0."""
        mmap.mmap(-1, BOUNDARY_SIZE).close()
        self.boundaries += 1
        return self.boundaries - 1

    def stop(self) -> HeapFile:
        """Stop tracking, and return the file, which can be read now."""
        self._memray.Tracker = self._class
        before, after = self._mapped, mapped_files()
        mapped = None if before is None or after is None else after - before
        leave(self._tracker, self._chosen)
        self._profiler.put_back()
        return HeapFile(self._file, self.boundaries, mapped)


class HeapFile:
    """What a `HeapTracker` wrote; `close` removes it.

    Args:
        file: the file.
        boundaries: the number of boundaries in it.
        mapped: bytes by which the resident pages of files grew meanwhile; ``None`` if the
            system does not report them.
    """

    def __init__(self, file: TrackerFile, boundaries: int, mapped: int | None = None) -> None:
        self._file = file
        self.boundaries = boundaries
        self.mapped = mapped
        self._reader: memray.FileReader = import_memray().FileReader(file.path)
        self._at_peak: list[memray.AllocationRecord] | None = None

    @property
    def peak(self) -> int:
        """Bytes requested from the allocators at the high-water mark."""
        return self._reader.metadata.peak_memory

    @property
    def length(self) -> int:
        """Number of allocations and deallocations."""
        return self._reader.metadata.total_allocations

    @property
    def written(self) -> int:
        """Size of the file in bytes."""
        return self._file.size()

    @property
    def left(self) -> int:
        """Bytes that are still held at the end, of those requested since the start."""
        return sum(record.size for record in self._reader.get_leaked_allocation_records())

    def at_peak(self) -> list[memray.AllocationRecord]:
        """Return the blocks at the high-water mark, one record for each stack; read once."""
        if self._at_peak is None:
            records = self._reader.get_high_watermark_allocation_records(merge_threads=True)
            self._at_peak = list(records)
        return self._at_peak

    def events(self) -> Iterable[memray.AllocationRecord]:
        """Return every allocation and deallocation, in order."""
        return self._reader.get_allocation_records()

    def close(self) -> None:
        """Remove the file."""
        self._reader.close()
        self._file.close()


class TrackerFolder:
    """Makes memray's files: without a name if the system can, otherwise in a temporary folder.

    A file without a name disappears with the process, however it ends. The folder is made for
    the first file that needs it, and removed by `close`.
    """

    def __init__(self) -> None:
        # bound now: tests replace these in the modules they live in
        self._make: Callable[..., str] = tempfile.mkdtemp
        self._remove = shutil.rmtree
        self._system = _system()
        self._numbers = itertools.count()
        self._owner = os.getpid()
        self._temporary = ""
        self._path = ""

    def prepare(self) -> None:
        """Find out where files can be made, before a test changes that."""
        self.new_file().close()

    def new_file(self) -> TrackerFile:
        """Return a file that is empty or does not exist yet."""
        return self._nameless() or self._named()

    def close(self) -> None:
        """Remove the folder, if one was made, with the files in it."""
        if self._path and self._owner == os.getpid():
            self._remove(self._path, ignore_errors=True)
        self._path = ""

    def _nameless(self) -> TrackerFile | None:
        self._temporary = self._temporary or tempfile.gettempdir()
        if self._system is None:
            return None
        try:
            return self._system.nameless(self._temporary)
        except OSError:
            self._system = None
            return None

    def _named(self) -> TrackerFile:
        if not self._path or self._owner != os.getpid():
            self._path, self._owner = self._make(prefix="memguard-"), os.getpid()
        return NamedFile(str(Path(self._path) / f"{next(self._numbers)}.bin"))


def _system() -> System | None:
    try:
        return System()
    except ImportError:
        return None
