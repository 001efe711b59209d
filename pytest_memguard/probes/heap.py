"""Every allocation of a stretch of a test, through memray: exact peaks, and who holds them."""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import mmap
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.probes.resident import mapped_files
from pytest_memguard.probes.tracker_files import NamedFile, System, TrackerFile

if TYPE_CHECKING:
    import memray

# An mmap of this odd length, given back at once and never touched, is how a boundary
# between two stretches gets into memray's stream of allocations.
BOUNDARY_SIZE: Final = 65_521
_READ_BY_MEMRAY: Final = ("/proc/self/status", "/proc/self/fd")


def import_memray() -> Any:
    """The memray module.

    Raises:
        Unmeasurable: where memray does not exist, or cannot be loaded or used.
    """
    try:
        import memray
    except ImportError as error:
        why = "it does not exist for Windows" if sys.platform == "win32" else str(error)
        msg = f"memray is not available: {why}"
        raise Unmeasurable(msg) from error
    missing = missing_files()
    if missing:
        msg = f"memray is not available: it reads {missing[0]}, which is not there"
        raise Unmeasurable(msg)
    return memray


@functools.cache
def missing_files() -> tuple[str, ...]:
    """What is not there of the files that memray reads whenever it tracks (Linux).

    A tracker that cannot be started for this reason makes every later one fail. They are
    looked for once, before a test can put another file system in their place.
    """
    if sys.platform != "linux":
        return ()
    return tuple(name for name in _READ_BY_MEMRAY if not os.access(name, os.R_OK))


class RunningProfiler:
    """The profiler that runs now, if one does; memray takes it away.

    memray puts it back as if it were a function. That of `cProfile` is none, so it is switched
    off meanwhile.
    """

    def __init__(self) -> None:
        self._profile: Any = sys.getprofile()
        self._is_off = not callable(self._profile) and hasattr(self._profile, "enable")
        if self._is_off:
            sys.setprofile(None)

    def switch_on(self) -> None:
        """Go on where memray did not start."""
        if self._is_off:
            self._profile.enable()

    def put_back(self) -> None:
        """Go on where memray has stopped."""
        if self._profile is not None and not self._is_off:
            sys.setprofile(self._profile)
        self.switch_on()


def enter(tracker: Any) -> None:
    """Start a tracker of memray's, without its notice in the output where greenlet is loaded.

    Args:
        tracker: that is to start.
    """
    if "greenlet" not in sys.modules:
        tracker.__enter__()
        return
    with contextlib.redirect_stderr(io.StringIO()):
        tracker.__enter__()


class HeapTracker:
    """memray around a stretch of code, small Python objects included.

    Every allocation goes to a file, not to a table in this process: the table would cost
    170 bytes per living block, which the kernel's mark would then show as the test's.

    Args:
        folder: makes the file.
        give_way: called when somebody else wants to track; memray can track once at a
            time. It has to call `stop`. Without it, somebody else fails.

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
        self._profiler = RunningProfiler()
        try:
            enter(self._tracker)
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
        """Put a boundary into the stream and return its number, from 0."""
        mmap.mmap(-1, BOUNDARY_SIZE).close()
        self.boundaries += 1
        return self.boundaries - 1

    def stop(self) -> HeapFile:
        """Stop tracking; the file can be read from now on."""
        self._memray.Tracker = self._class
        before, after = self._mapped, mapped_files()
        mapped = None if before is None or after is None else after - before
        self._tracker.__exit__(None, None, None)
        self._profiler.put_back()
        return HeapFile(self._file, self.boundaries, mapped)


class HeapFile:
    """What a `HeapTracker` wrote; read it, then `close` removes it.

    Args:
        file: what it wrote to.
        boundaries: how many boundaries are in it.
        mapped: bytes by which the resident pages of files became more meanwhile; ``None``
            where the system does not tell.
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
        """Number of allocations and releases."""
        return self._reader.metadata.total_allocations

    @property
    def written(self) -> int:
        """Bytes of the file."""
        return self._file.size()

    @property
    def left(self) -> int:
        """Bytes still held at the end, of those requested since the start."""
        return sum(record.size for record in self._reader.get_leaked_allocation_records())

    def at_peak(self) -> list[memray.AllocationRecord]:
        """The blocks that lived at the high-water mark, one record per stack; read once."""
        if self._at_peak is None:
            records = self._reader.get_high_watermark_allocation_records(merge_threads=True)
            self._at_peak = list(records)
        return self._at_peak

    def events(self) -> Iterable[memray.AllocationRecord]:
        """Every allocation and release, in order."""
        return self._reader.get_allocation_records()

    def close(self) -> None:
        """Forget the file."""
        self._reader.close()
        self._file.close()


class TrackerFolder:
    """Makes memray's files: nameless where the system can, in a temporary folder elsewhere.

    What has no name is gone once the process is, however it ends. The folder is made when the
    first file is needed, and removed by `close`.
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
        """A file that is empty, or does not exist yet."""
        return self._nameless() or self._named()

    def close(self) -> None:
        """Remove the folder, if one was made, and what is left in it."""
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


def destination(file: TrackerFile) -> Any:
    """The destination that memray writes to."""
    # a nameless file is there already
    return import_memray().FileDestination(file.path, overwrite=True, compress_on_exit=False)
