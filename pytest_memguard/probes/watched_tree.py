"""Reads what a process and its descendants use: memory, descriptors, threads, connections."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from pytest_memguard.probes.process_counts import ProcessCounts, connections_of, counts_of
from pytest_memguard.probes.sparing import Sparing
from pytest_memguard.probes.watched_memory import ProcessUse, memory_of
from pytest_memguard.watch_levels import SIGNALS, Levels, WatchSignal, levels_of


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
        self._tree = memory_of(pid, children=children, now=now)
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
