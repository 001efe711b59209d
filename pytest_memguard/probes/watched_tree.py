"""Reads what a process and its descendants use: memory, descriptors, threads, connections."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import psutil

from pytest_memguard.probes.tree_linux import LinuxTree
from pytest_memguard.probes.tree_psutil import PsutilTree
from pytest_memguard.watch_levels import SIGNALS, Levels, WatchSignal, levels_of

_SHARE_OF_TIME: Final = 200
"""So many times as long as an expensive reading took, it is not repeated."""
_LEAST_PAUSE: Final = 1.0
"""Seconds between two readings of what processes share."""
_TICKS: Final = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class ProcessUse(NamedTuple):
    """What one process uses."""

    pid: int
    """Its number."""
    resident: int
    """Resident bytes."""


class ProcessCounts(NamedTuple):
    """What the kernel counts of one process; ``None`` if it cannot be read."""

    fds: int | None
    """Open descriptors."""
    threads: int | None
    """Threads."""
    cpu: float
    """Processor seconds so far."""


class WatchedTree:
    """A process, and its descendants if they count.

    Args:
        pid: number of the process.
        children: whether its descendants count.
        now: the clock.

    Attributes:
        cpu_seconds: processor time that all of them have used, those that ended included.
        begun: descendants that were first seen after the first reading.
        gone: descendants that ended.

    Raises:
        OSError: if the process has ended, or must not be read.
    """

    def __init__(
        self, pid: int, *, children: bool = True, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.pid = pid
        self._children = children
        self._now = now
        self.cpu_seconds = 0.0
        self.begun = self.gone = 0
        self._cpu: dict[int, float] = {}
        self._ended_cpu = 0.0
        self._below: set[int] | None = None
        self._missing: dict[WatchSignal, str] = {}
        self._tree = _memory_of(pid, children=children, now=now)
        self._connections = Sparing(self._count_connections, now)

    def read(self, *, exactly: bool = False) -> Levels:
        """Read all signals.

        Args:
            exactly: whether to read also what is expensive, whenever it was read before.

        Raises:
            ProcessLookupError: if the process has ended.
        """
        rss = self._tree.read(exactly=exactly)
        below = self._tree.below()
        self._note_descendants(set(below))
        counts = {pid: counts_of(pid) for pid in (self.pid, *below)}
        self._note_cpu(counts)
        known = [one for pid, one in counts.items() if one is not None or pid == self.pid]
        values: dict[WatchSignal, int | None] = {
            "rss": rss,
            "fds": self._sum("fds", [one.fds if one else None for one in known]),
            "threads": self._sum("threads", [one.threads if one else None for one in known]),
            "connections": self._connections.value(fresh=exactly),
            "children": len(below) if self._children else None,
        }
        return levels_of(values)

    def processes(self) -> list[ProcessUse]:
        """Return what each process has for itself, the first process first."""
        return self._tree.processes()

    def gaps(self) -> list[tuple[str, str]]:
        """Return what could not be read, and why."""
        found = [
            (signal, self._missing[signal]) for signal in SIGNALS if signal in self._missing
        ]
        return [*found, *([("rss", self._tree.lost)] if self._tree.lost else [])]

    def own_peak(self) -> int | None:
        """Return the kernel's high-water mark of the first process; ``None`` if unknown."""
        return self._tree.own_peak()

    def close(self) -> None:
        """Close all files."""
        self._tree.close()

    def _sum(self, signal: WatchSignal, values: Iterable[int | None]) -> int | None:
        known = [value for value in values if value is not None]
        if not known:
            self._missing[signal] = "the system does not let this user read it"
            return None
        return sum(known)

    def _count_connections(self) -> int | None:
        pids = (self.pid, *self._tree.below())
        return self._sum("connections", [connections_of(pid) for pid in pids])

    def _note_descendants(self, below: set[int]) -> None:
        if self._below is not None:
            self.begun += len(below - self._below)
            self.gone += len(self._below - below)
        self._below = below

    def _note_cpu(self, counts: dict[int, ProcessCounts | None]) -> None:
        for pid in self._cpu.keys() - counts.keys():
            self._ended_cpu += self._cpu.pop(pid)
        self._cpu.update({pid: one.cpu for pid, one in counts.items() if one is not None})
        self.cpu_seconds = self._ended_cpu + sum(self._cpu.values())


class Sparing:
    """An expensive reading, repeated so rarely that it takes 0.5 % of the time.

    Args:
        read: reads it.
        now: the clock.
        pause: least seconds between two readings.
    """

    def __init__(
        self,
        read: Callable[[], int | None],
        now: Callable[[], float],
        pause: float = 0.0,
    ) -> None:
        self._read = read
        self._now = now
        self._pause = pause
        self._due: float | None = None
        self._latest: int | None = None

    def value(self, *, fresh: bool = False) -> int | None:
        """Return the latest value, read again if it is due, or if it has to be fresh."""
        start = self._now()
        if fresh or self._due is None or start >= self._due:
            began = time.perf_counter()
            self._latest = self._read()
            took = time.perf_counter() - began
            self._due = start + max(_SHARE_OF_TIME * took, self._pause)
        return self._latest

    def forget(self) -> None:
        """Read it again when it is asked for next."""
        self._due = None


class TreeMemory(Protocol):
    """Reads the memory of a process and its descendants."""

    lost: str
    """Why what they share cannot be read; empty if it can, or if nothing is shared."""

    def read(self, *, exactly: bool) -> int:
        """Return the resident bytes of all, with what is shared counted once."""

    def below(self) -> list[int]:
        """Return the numbers of the descendants that live."""

    def processes(self) -> list[ProcessUse]:
        """Return what each process has for itself."""

    def own_peak(self) -> int | None:
        """Return the high-water mark of the first process."""

    def close(self) -> None:
        """Close all files."""


def _memory_of(pid: int, *, children: bool, now: Callable[[], float]) -> TreeMemory:
    if sys.platform == "linux" and Path("/proc/self/stat").exists():
        return LinuxMemory(pid, children=children, now=now)
    return PsutilMemory(pid, children=children, now=now)


class LinuxMemory:
    """The memory of a process and its descendants, from /proc.

    Resident memory of the first process counts as it is. Of its descendants counts what they
    do not share, and a part of the rest that `smaps_rollup` shows. That file takes 40 ms for
    each GiB, so it is read rarely, and the part for each descendant is used in between.

    Args:
        pid: number of the process.
        children: whether its descendants count.
        now: the clock.
    """

    def __init__(self, pid: int, *, children: bool, now: Callable[[], float]) -> None:
        self._tree = LinuxTree(pid)
        self._children = children
        self.lost = ""
        self._shared = Sparing(self._shared_part, now, _LEAST_PAUSE)
        self._has_children = False
        if self._tree.root.is_zombie:
            self._tree.close()
            raise ProcessLookupError

    def read(self, *, exactly: bool) -> int:
        """Return the resident bytes of all.

        Raises:
            ProcessLookupError: if the first process has ended.
        """
        root = self._tree.root
        if self._children:
            rough = self._tree.sample(exact=False)
        root.update()
        if root.is_zombie:
            raise ProcessLookupError
        if not self._children or not self._tree.living:
            self._has_children = False
            return root.resident
        if not self._has_children:  # nothing is known yet of what they share
            self._has_children = True
            self._shared.forget()
        count = len(self._tree.living)
        part = self._shared.value(fresh=exactly) or 0
        return root.resident + rough.below_least + part * count

    def below(self) -> list[int]:
        """Return the numbers of the descendants that live."""
        return [process.pid for process in self._tree.living] if self._children else []

    def processes(self) -> list[ProcessUse]:
        """Return the resident bytes of each process."""
        living = self._tree.living if self._children else []
        return [ProcessUse(p.pid, p.resident) for p in (self._tree.root, *living)]

    def own_peak(self) -> int | None:
        """Return the kernel's high-water mark of the first process."""
        return self._tree.root.mark or None

    def close(self) -> None:
        """Close all files."""
        self._tree.close()

    def _shared_part(self) -> int:
        """Return bytes for each descendant, beyond what it surely has for itself."""
        exact = self._tree.sample(exact=True)
        rough = self._tree.sample(exact=False)
        count = len(self._tree.living)
        if not exact.exact or not count:
            if count:
                self.lost = "what descendants share cannot be read, and counts for nothing"
            return 0
        self.lost = ""
        return max(0, exact.below_most - rough.below_least) // count


class PsutilMemory:
    """The same as psutil sees it, without what descendants share (their USS).

    Args:
        pid: number of the process.
        children: whether its descendants count.
        now: the clock.
    """

    def __init__(self, pid: int, *, children: bool, now: Callable[[], float]) -> None:
        self._tree = PsutilTree(pid)
        self._process = psutil.Process(pid)
        self._children = children
        self.lost = ""
        self._below = Sparing(self._private, now)

    def read(self, *, exactly: bool) -> int:
        """Return the resident bytes of all.

        Raises:
            ProcessLookupError: if the first process has ended.
        """
        try:
            if self._process.status() == psutil.STATUS_ZOMBIE:
                raise ProcessLookupError
            resident = int(self._process.memory_info().rss)
        except psutil.AccessDenied as error:
            raise PermissionError(str(error)) from error
        except psutil.Error as error:
            raise ProcessLookupError(str(error)) from error
        if not self._children:
            return resident
        self._tree.sample(exact=False)
        if not self._tree.living:
            return resident
        self.lost = "what descendants share cannot be read, and counts for nothing"
        return resident + (self._below.value(fresh=exactly) or 0)

    def below(self) -> list[int]:
        """Return the numbers of the descendants that live."""
        return [process.pid for process in self._tree.living] if self._children else []

    def processes(self) -> list[ProcessUse]:
        """Return the resident bytes of each process."""
        found = []
        for pid in (self._process.pid, *self.below()):
            try:
                found.append(ProcessUse(pid, int(psutil.Process(pid).memory_info().rss)))
            except psutil.Error:
                continue
        return found

    def own_peak(self) -> int | None:
        """Return nothing: psutil does not know it everywhere."""

    def close(self) -> None:
        """Forget the processes."""
        self._tree.close()

    def _private(self) -> int:
        return self._tree.sample(exact=True).below_least


if sys.platform == "linux":

    def counts_of(pid: int) -> ProcessCounts | None:
        """Return what the kernel counts of a process; ``None`` if it has ended."""
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123  quicker
                text = file.read()
        except OSError:
            return None
        fields = text[text.rindex(b")") + 2 :].split()
        cpu = (int(fields[11]) + int(fields[12])) / _TICKS
        return ProcessCounts(_descriptors(pid), int(fields[17]), cpu)

    def _descriptors(pid: int) -> int | None:
        """Return the number of open descriptors; the size of their folder since Linux 6.2."""
        folder = f"/proc/{pid}/fd"
        try:
            return os.stat(folder).st_size or len(os.listdir(folder))  # noqa: PTH116, PTH208  quicker
        except OSError:
            return None

else:

    def counts_of(pid: int) -> ProcessCounts | None:
        """Return what psutil counts of a process; ``None`` if it has ended."""
        try:
            process = psutil.Process(pid)
            times = process.cpu_times()
            threads = process.num_threads()
        except psutil.NoSuchProcess:
            return None
        except psutil.Error:
            return ProcessCounts(None, None, 0.0)
        return ProcessCounts(_descriptors(process), threads, times.user + times.system)

    def _descriptors(process: psutil.Process) -> int | None:
        try:
            return int(process.num_handles() if os.name == "nt" else process.num_fds())
        except psutil.Error:
            return None


def connections_of(pid: int) -> int | None:
    """Return the number of a process's TCP connections; ``None`` if they cannot be read."""
    try:
        found = psutil.Process(pid).net_connections("tcp")
    except (psutil.Error, OSError, RuntimeError):
        return None
    return sum(one.status != psutil.CONN_LISTEN for one in found)
