"""Reads all signals of a leak check into arrays that are allocated beforehand."""

from __future__ import annotations

import os
import sys
import threading
from array import array
from collections.abc import Callable, Sequence
from typing import Any, Final

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.model.leaks import Signal
from pytest_memguard.model.results import Gap
from pytest_memguard.probes.resident import ProcFile
from pytest_memguard.probes.signal_readers import (
    MOST_CHILDREN_BYTES,
    Latest,
    Reader,
    asyncio_tasks,
    heap_used,
    own_pages,
    python_threads,
    read_file,
    uncollectable_objects,
)
from pytest_memguard.probes.slack import SlackProbe
from pytest_memguard.probes.thread_cache import thread_cache

_STATUS: Final = 4096
_RESOURCES: Final[frozenset[Signal]] = frozenset(
    {
        "open files",
        "Python threads",
        "native threads",
        "child processes",
        "asyncio tasks",
        "uncollectable objects",
    }
)


class Counters:
    """Reads every signal that can be read here; the others are gaps, with their reasons.

    The numbers go into an array that exists already, so that storing them is no growth.

    Args:
        resources: whether to read descriptors, threads, child processes, tasks and garbage too.

    Attributes:
        gaps: the signals that cannot be read.
        heap: reads the C heap alone, if possible.
        open_files: counts open descriptors alone, if possible.
        signals: the signals, in the order of a row.
    """

    def __init__(self, *, resources: bool = True) -> None:
        self.gaps: list[Gap] = []
        self._cache = thread_cache()
        self._slack = _slack_probe()
        self.heap = self._c_heap()
        self.open_files = self._open_files() if resources else None
        readers: list[tuple[Signal, Reader | None]] = [
            ("blocks", self._blocks()),
            ("C heap", self.heap),
            ("USS", self._uss()),
        ]
        if resources:
            threads = self._native_threads()
            latest = None if threads is None else Latest(threads)
            readers += [
                ("open files", self.open_files),
                ("Python threads", python_threads),
                ("native threads", latest),
                ("child processes", self._children(latest)),
                ("asyncio tasks", asyncio_tasks),
                ("uncollectable objects", uncollectable_objects),
            ]
        working = [(signal, reader) for signal, reader in readers if reader is not None]
        self.signals: tuple[Signal, ...] = tuple(signal for signal, _ in working)
        self._readers = tuple(reader for _, reader in working)

    @property
    def readers(self) -> dict[Signal, Reader]:
        """What reads each signal alone."""
        return dict(zip(self.signals, self._readers, strict=True))

    @property
    def leaves_cache_out(self) -> bool:
        """Whether the C heap is read without what the cache of this thread holds."""
        return self._cache is not None and self._cache.is_mine

    @property
    def resources(self) -> Sequence[int]:
        """Columns of resources: things that are counted and may disappear with a delay."""
        return [i for i, signal in enumerate(self.signals) if signal in _RESOURCES]

    def row(self) -> array[int]:
        """Return an array for one reading of every signal."""
        return array("q", bytes(8 * len(self._readers)))

    def read(self, row: array[int]) -> None:
        """Read every signal into its column.

        Args:
            row: an array from `row`.
        """
        for index, reader in enumerate(self._readers):
            row[index] = reader()

    def small_blocks(self) -> bytes:
        """Return pymalloc's statistics; empty where there are none."""
        return b"" if self._slack is None else self._slack.statistics()

    def _gap(self, subject: str, reason: str) -> None:
        self.gaps.append(Gap(subject=f"leak check: {subject}", reason=reason))

    def _blocks(self) -> Reader | None:
        if not hasattr(sys, "getallocatedblocks") or sys.getallocatedblocks() == 0:
            self._gap("blocks", "this interpreter does not count its blocks (PYTHONMALLOC?)")
            return None
        return sys.getallocatedblocks

    def _c_heap(self) -> Reader | None:
        used = heap_used(self._cache.size if self._cache is not None else int)
        if used is None:
            self._gap("C heap", "the C library does not report it (psutil.heap_info)")
        return used

    def _uss(self) -> Reader | None:
        """Return a reader of the pages that only this process has.

        On Linux these are anonymous pages and those of shared memory. The kernel's USS also has
        file pages that no other process maps at the moment, so it jumps when another process
        with the same libraries starts or ends.
        """
        try:
            status = ProcFile("status")
            if b"RssAnon:" in status.read(_STATUS):
                return lambda: own_pages(status.read(_STATUS))
        except OSError:
            pass
        return self._psutil_uss()

    def _psutil_uss(self) -> Reader | None:
        return self._asked("USS", lambda process: int(process.memory_full_info().uss))

    def _open_files(self) -> Reader | None:
        stat, folder = os.stat, "/proc/self/fd"
        listed = self._entries(folder)
        if listed is None:
            return self._of_process("num_fds", "open files")
        # listing the folder takes a descriptor of its own; its size, since Linux 6.2, none
        if stat(folder).st_size == listed() - 1:
            return lambda: stat(folder).st_size
        return listed

    def _native_threads(self) -> Reader | None:
        stat, folder = os.stat, "/proc/self/task"
        listed = self._entries(folder)
        if listed is None:
            return self._of_process("num_threads", "native threads")
        if stat(folder).st_nlink == listed() + 2:  # a folder for each, and two dots
            return lambda: stat(folder).st_nlink - 2
        return listed

    def _entries(self, folder: str) -> Reader | None:
        listdir = os.listdir  # held here: tests replace what they find in modules
        try:
            listdir(folder)
        except OSError:
            return None
        return lambda: len(listdir(folder))

    def _of_process(self, method: str, subject: str) -> Reader | None:
        def count(process: Any) -> int:
            return int((getattr(process, method, None) or process.num_handles)())

        return self._asked(subject, count)

    def _asked(self, subject: str, ask: Callable[[Any], int]) -> Reader | None:
        """Return a reader through psutil; note a gap if it gives no answer.

        Args:
            subject: what is read.
            ask: reads it from a `psutil.Process`.
        """
        import psutil

        try:
            process = psutil.Process()
            ask(process)
        except (AttributeError, OSError, psutil.Error) as error:
            # its text has the number of the process, which differs between workers
            self._gap(
                subject, f"the system does not report it (psutil: {type(error).__name__})"
            )
            return None
        return lambda: ask(process)

    def _children(self, threads: Latest | None) -> Reader | None:
        """Return a reader of the number of child processes.

        Args:
            threads: reads the number of native threads, and is called just before.
        """
        listdir, read = os.listdir, read_file
        try:
            read(f"/proc/self/task/{threading.get_native_id()}/children")
            only = ProcFile("../thread-self/children")  # this thread's, also after a fork
        except OSError:
            self._gap("child processes", "the kernel does not list them (/proc/self/task)")
            return None

        def children() -> int:
            if threads is not None and threads.value == 1:
                return only.read(MOST_CHILDREN_BYTES).count(b" ")
            count = 0
            for thread in listdir("/proc/self/task"):
                try:
                    count += read(f"/proc/self/task/{thread}/children").count(b" ")
                except OSError:  # the thread has ended meanwhile
                    continue
            return count

        return children


def _slack_probe() -> SlackProbe | None:
    try:
        return SlackProbe()
    except Unmeasurable:
        return None
