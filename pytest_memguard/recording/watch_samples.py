"""Keeps what was read in a watch: first, latest and highest levels, the trace and gaps."""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import Final

from pytest_memguard.probes.watched_tree import WatchedTree
from pytest_memguard.recording.thinned_trace import ThinnedTrace
from pytest_memguard.recording.tree_members import TreeMembers
from pytest_memguard.recording.watch_peaks import Peaks
from pytest_memguard.recording.watched_stages import WatchedStages
from pytest_memguard.watch_levels import (
    HIDDEN_SIGNALS,
    NODE_SIGNALS,
    Levels,
    NodeSignal,
    with_more,
)

_INTERVALS: Final = 1000
"""So many of the latest times between two samples are kept."""


class WatchSamples:
    """The samples of one watch.

    Args:
        stages: which the highest levels count for, too.

    Attributes:
        first: the first reading.
        latest: the latest reading.
        count: how many there were.
        trace: a row for each, thinned out.
        members: the processes that were seen.
        gaps: what could not be read, and why.
    """

    def __init__(self, stages: WatchedStages) -> None:
        self.first = self.latest = Levels()
        self.count = 0
        self.trace = ThinnedTrace()
        self.members = TreeMembers()
        self.gaps: dict[str, str] = {}
        self._stages = stages
        self._peak = Peaks()
        self._intervals: deque[float] = deque(maxlen=_INTERVALS)
        self._reported: dict[NodeSignal, int | None] = {}
        self._at: float | None = None
        self._mark: int | None = None

    @property
    def peak(self) -> Levels:
        """The highest reading of each signal."""
        return self._peak.levels

    @property
    def interval(self) -> float:
        """Seconds between two samples, as a rule."""
        return round(median(self._intervals), 4) if self._intervals else 0.0

    def last_known(self) -> Levels:
        """Return the latest reading, with what Node.js programs have reported last."""
        return with_more(self.latest, self._reported)

    def begin_life(self) -> None:
        """Expect the samples of another process."""
        self._at = self._mark = None

    def add(self, levels: Levels, at: float, life: int, tree: WatchedTree) -> None:
        """Take a sample.

        Args:
            levels: the reading.
            at: seconds since the start of the watch.
            life: which process it is about, by its place among all.
            tree: that process and its descendants.
        """
        if self._at is not None:
            self._intervals.append(at - self._at)
        self._at = at
        self.count += 1
        if self.count == 1:
            self.first = levels
        elif self.first.heap_used is None and levels.heap_used is not None:
            self.first = with_more(self.first, _node_levels(levels))
        self.latest = levels
        self._reported |= {s: v for s, v in _node_levels(levels).items() if v is not None}
        self.trace.add(at, life, tree.cpu_seconds, levels)
        self._peak.note(levels)
        self._stages.note(levels)
        self._note_own_peak(tree, levels)
        self.members.note(tree.processes())
        self.gaps.update(tree.gaps())

    def _note_own_peak(self, tree: WatchedTree, levels: Levels) -> None:
        """Take the kernel's mark of a process without descendants as its peak, if it rose."""
        mark, before = tree.own_peak(), self._mark
        if mark is None:
            return
        self._mark = mark
        if before is not None and mark > before and not levels.children:
            self._peak.note_rss(mark)
            self._stages.note_rss(mark)


def _node_levels(levels: Levels) -> dict[NodeSignal, int | None]:
    return {signal: levels.of(signal) for signal in (*NODE_SIGNALS, *HIDDEN_SIGNALS)}
