"""Reads the resident memory of a watched process and its descendants, shared memory once."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import psutil

from pytest_memguard.probes.sparing import Sparing
from pytest_memguard.probes.tree_linux import LinuxTree
from pytest_memguard.probes.tree_psutil import PsutilTree

_LEAST_PAUSE: Final = 1.0
"""Seconds between two readings of what processes share."""


class ProcessUse(NamedTuple):
    """What one process uses."""

    pid: int
    """Its number."""
    resident: int
    """Resident bytes."""


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


def memory_of(pid: int, *, children: bool, now: Callable[[], float]) -> TreeMemory:
    """Open what reads the memory of a process here: /proc, or psutil where there is none.

    Args:
        pid: its number.
        children: whether its descendants count.
        now: the clock.

    Raises:
        OSError: if it has ended, or must not be read.
    """
    if sys.platform == "linux" and Path("/proc/self/stat").exists():
        return LinuxMemory(pid, children=children, now=now)
    return PsutilMemory(pid, children=children, now=now)
