"""Keeps what the Node.js programs of a tree report: memory, stages and iterations."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from pytest_memguard.probes.node_reports import NodeReport, NodeReports, Thread
from pytest_memguard.watch_levels import NODE_SIGNALS, Levels, NodeSignal, levels_of
from pytest_memguard.watches import IterationReading

_FRESH_SECONDS: Final = 0.3
"""So long a report is at least what the program uses now; while it is busy nothing is known."""
_FRESH_INTERVALS: Final = 3.0
_FORGOTTEN_SECONDS: Final = 10.0
"""After this time without a report a thread is taken to have ended."""
_TENTHS: Final = 10
_KEPT: Final[tuple[tuple[NodeSignal, NodeSignal], ...]] = (
    ("heap_used", "heap_kept"),
    ("external", "external_kept"),
)
"""What a program keeps, before and after a full collection."""
_NO_COLLECTION: Final = (
    "V8 has made no full collection, so that garbage counts; "
    "start Node.js with --expose-gc to have one before each reading"
)


class StageMark(NamedTuple):
    """A program says that it begins another part of its work."""

    name: str
    """Name of the part; empty if the former one only ends."""
    at: float
    """When, by the clock of `time.monotonic`."""
    levels: Levels
    """What its process used then."""


class NodeMemory:
    """The latest report of each thread, and what was marked.

    Args:
        reports: where they arrive.
        interval: seconds between two of them.
        now: the clock that they are dated by.
    """

    def __init__(
        self,
        reports: NodeReports,
        interval: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.reports = reports
        self._fresh = max(_FRESH_SECONDS, _FRESH_INTERVALS * interval)
        self._now = now
        self._latest: dict[Thread, NodeReport] = {}
        self._first: dict[Thread, NodeReport] = {}
        self._marks: list[StageMark] = []
        self._counts: list[tuple[NodeReport, Levels]] = []
        self._stager: Thread | None = None
        self._counter: Thread | None = None
        self._others: set[str] = set()
        self._has_collected = False
        self.snapshots: list[str] = []

    def receive(self) -> None:
        """Take in what was reported since the last call."""
        for report in self.reports.receive():
            self._take(report)

    def _take(self, report: NodeReport) -> None:
        if report.kind == "snapshot":
            self.snapshots.append(report.text)
            return
        self._first.setdefault(report.thread, report)
        self._latest[report.thread] = report
        self._has_collected |= "heap_kept" in report.memory
        if report.kind == "stage":
            self._stager = self._stager or report.thread
            if self._is_heard(report, self._stager, "stages"):
                mark = StageMark(report.text, report.at, self._of_process(report))
                self._marks.append(mark)
        elif report.kind == "iteration":
            self._counter = self._counter or report.thread
            if self._is_heard(report, self._counter, "iterations"):
                if self._counts and report.count <= self._counts[-1][0].count:
                    self._counts.clear()
                self._counts.append((report, self._of_process(report)))

    def _is_heard(self, report: NodeReport, first: Thread, what: str) -> bool:
        """Return whether this is the thread whose marks count: the first that has set one."""
        if report.thread != first:
            self._others.add(what)
        return report.thread == first

    def _of_process(self, report: NodeReport) -> Levels:
        levels = self._sum(t for t in self._latest if t[0] == report.thread[0])
        return levels_of({**levels, "rss": report.rss})

    def take_marks(self) -> list[StageMark]:
        """Return the stages that were marked since the last call."""
        marks, self._marks = self._marks, []
        return marks

    def levels(self, pids: Iterable[int]) -> dict[NodeSignal, int]:
        """Return what some processes use together; nothing if a report of one is overdue."""
        now, living = self._now(), set(pids)
        for thread, report in list(self._latest.items()):
            is_main = thread[1] == 0
            if thread[0] not in living or (
                not is_main and now - report.at > _FORGOTTEN_SECONDS
            ):
                del self._latest[thread]
        if any(now - one.at > self._fresh for one in self._latest.values()):
            return {}
        return self._sum(self._latest)

    def _sum(self, threads: Iterable[Thread]) -> dict[NodeSignal, int]:
        reports = [self._latest[thread].memory for thread in threads]
        if not reports:
            return {}
        found: dict[NodeSignal, int] = {
            signal: sum(memory[signal] for memory in reports) for signal in NODE_SIGNALS
        }
        raw = [memory for memory in reports if "heap_kept" not in memory]
        if len(raw) < len(reports):
            for signal, kept in _KEPT:
                found[kept] = sum(memory.get(kept, memory[signal]) for memory in reports)
            found["uncollected"] = sum(memory[one] for memory in raw for one, _ in _KEPT)
        return found

    def iterations(self, start: float) -> tuple[IterationReading, ...]:
        """Return a reading for every tenth of the iterations, and the first one.

        Args:
            start: when the watch began, by the clock of the reports.
        """
        if not self._counts:
            return ()
        total = self._counts[-1][0].of or self._counts[-1][0].count or 1
        picked: dict[int, tuple[NodeReport, Levels]] = {}
        for one in self._counts:
            picked.setdefault(one[0].count * _TENTHS // total, one)
        return tuple(
            IterationReading(
                count=report.count,
                of=report.of,
                seconds=round(max(0.0, report.at - start), 3),
                levels=levels,
            )
            for report, levels in picked.values()
        )

    def grown_most(self) -> Thread | None:
        """Return the thread whose heap and external memory have grown most."""
        return max(self._latest, key=self._grown, default=None)

    def _grown(self, thread: Thread) -> int:
        first, last = self._first[thread].memory, self._latest[thread].memory
        return sum(last.get(one, 0) - first.get(one, 0) for _, one in _KEPT)

    def gaps(self) -> list[tuple[str, str]]:
        """Return what is not known, and why."""
        found = []
        if not self._first:
            found.append(("heapUsed", "no Node.js process has reported its memory"))
        elif not self._has_collected:
            found.append(("heapUsed", _NO_COLLECTION))
        found += [(one, "those of one thread only are shown") for one in sorted(self._others)]
        return found
