"""Samples a program and its descendants, through restarts, and keeps what it has found out."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from statistics import median
from typing import Final

from pytest_memguard.judge.watch_growth import growth_of_watch
from pytest_memguard.probes.watched_process import (
    Identity,
    check_watchable,
    identity_of,
    moment,
    program_of,
    successor_of,
)
from pytest_memguard.probes.watched_tree import WatchedTree
from pytest_memguard.recording.node_memory import NodeMemory, StageMark
from pytest_memguard.recording.thinned_trace import ThinnedTrace
from pytest_memguard.recording.tree_members import TreeMembers
from pytest_memguard.recording.watch_peaks import OpenStage, Peaks
from pytest_memguard.watch_levels import (
    HIDDEN_SIGNALS,
    NODE_SIGNALS,
    SIGNALS,
    Levels,
    NodeSignal,
    with_more,
)
from pytest_memguard.watches import EventKind, Life, StageOfWatch, WatchEvent, WatchRecord

_INTERVALS: Final = 1000
"""So many of the latest times between two samples are kept."""
_MOST_EVENTS: Final = 1000
"""So many of the latest events are kept."""
_UNKNOWN_PROGRAMS: Final = frozenset({b"", b"0", b"1"})
"""What the system shows of a program that is being loaded, or that it hides."""
_SEARCH_PAUSE: Final = 0.2
"""Least seconds between two searches for the process that takes another's place."""


class Watcher:
    """Watches one process at a time.

    Args:
        pid: number of the process.
        target: what is watched, as the user named it.
        interval: seconds between two samples.
        children: whether descendants count.
        warm_up: seconds to leave out of the verdict; a third of the time if ``None``.
        now: the clock.
        open_tree: opens the readings of a process.
        may_have_ended: whether the process may have ended already.
        node: what its Node.js programs report; ``None`` if that is not asked for.

    Attributes:
        latest: the latest reading.
        is_alive: whether the process has not ended, as far as is known.

    Raises:
        Unmeasurable: if the process is not there, or must not be watched.
    """

    def __init__(
        self,
        pid: int,
        *,
        target: str = "",
        interval: float = 1.0,
        children: bool = True,
        warm_up: float | None = None,
        now: Callable[[], float] = time.monotonic,
        open_tree: Callable[..., WatchedTree] = WatchedTree,
        may_have_ended: bool = False,
        node: NodeMemory | None = None,
    ) -> None:
        if not may_have_ended:
            check_watchable(pid)
        self._now = now
        self._interval = interval
        self._children = children
        self._warm_up = warm_up
        self._open = open_tree
        self._node = node
        self._marked: OpenStage | None = None
        self._reported: dict[NodeSignal, int | None] = {}
        self._target = target or str(pid)
        self._started = datetime.now(tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._start = now()
        self._trace = ThinnedTrace()
        self._lives: list[Life] = []
        self._intervals: deque[float] = deque(maxlen=_INTERVALS)
        self._events: deque[WatchEvent] = deque(maxlen=_MOST_EVENTS)
        self._stages: list[StageOfWatch] = []
        self._open_stages: list[OpenStage] = []
        self._members = TreeMembers()
        self._peak = Peaks()
        self._gaps: dict[str, str] = {}
        self._tree: WatchedTree | None = None
        self._identity: Identity | None = None
        self._last_seen = moment()
        self._sampled = self._search_due = 0.0
        self._mark: int | None = None
        self._begun = self._gone = self._samples = 0
        self.first = self.latest = Levels()
        self.is_alive = False
        self._begin(pid)

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._now() - self._start

    @property
    def pid(self) -> int:
        """Number of the process that is watched, or was the last to be."""
        return self._lives[-1].pid

    @property
    def peak(self) -> Levels:
        """The highest reading of each signal."""
        return self._peak.levels

    @property
    def events(self) -> deque[WatchEvent]:
        """What happened, in order."""
        return self._events

    def follow(self, pid: int) -> None:
        """Watch another process from now on; it has taken the place of the one before.

        Raises:
            Unmeasurable: if it is not there, or must not be watched.
        """
        check_watchable(pid)
        self.take_over(pid, "followed")

    def take_over(self, pid: int, kind: EventKind = "restarted") -> None:
        """Watch the process that has taken the place of the one before; it may have ended."""
        former = self.pid
        if self.is_alive:
            if pid == former:
                return
            self._close_life(ended=False)
        self._note(WatchEvent(seconds=self.elapsed, kind=kind, pid=pid, former=former))
        self._begin(pid)

    def sample(self, *, exactly: bool = False) -> bool:
        """Take a sample; look for the successor of a process that has ended.

        Args:
            exactly: whether to read also what is expensive.

        Returns:
            Whether there was a reading.
        """
        if self._tree is None:
            self._search()
            if self._tree is None:
                return False
        self._notice_new_program()
        try:
            levels = self._tree.read(exactly=exactly)
        except OSError:
            pid = self.pid
            self._close_life(ended=True)
            self._note(WatchEvent(seconds=self.elapsed, kind="ended", pid=pid))
            return False
        if self._node is not None:
            pids = [use.pid for use in self._tree.processes()]
            self._node.receive()
            levels = with_more(levels, self._node.levels(pids))
        self._keep(levels)
        return True

    def begin_stage(self, name: str) -> None:
        """Begin a named part of the watch."""
        self.sample()
        self._open_stages.append(OpenStage(name, self.elapsed, self.latest))

    def end_stage(self, name: str) -> StageOfWatch:
        """End a named part of the watch, the latest of this name."""
        self.sample()
        stage = next(one for one in reversed(self._open_stages) if one.name == name)
        self._open_stages.remove(stage)
        ended = self._stage(stage)
        self._stages.append(ended)
        return ended

    def take_marks(self) -> None:
        """Begin the stages that a Node.js program has marked since the last call."""
        if self._node is None:
            return
        self._node.receive()
        for mark in self._node.take_marks():
            self._next_stage(mark)

    def _next_stage(self, mark: StageMark) -> None:
        self.sample()
        levels = self._as_marked(mark)
        at = self.elapsed - max(0.0, time.monotonic() - mark.at)
        if self._marked is not None:
            at = max(at, self._marked.start)
            self._marked.peak.note(levels)
            self._stages.append(self._stage(self._marked, at, levels))
            self._open_stages.remove(self._marked)
            self._marked = None
        if mark.name:
            self._marked = OpenStage(mark.name, max(0.0, at), levels)
            self._open_stages.append(self._marked)

    def _as_marked(self, mark: StageMark) -> Levels:
        """Return the latest reading, with what the program has reported itself."""
        levels = zip(SIGNALS, mark.levels, strict=True)
        reported = {signal: level for signal, level in levels if level is not None}
        if self.latest.children or len(self._lives) > 1:
            reported.pop("rss", None)  # that of the whole tree counts
        return with_more(self._last_known(), reported)

    def _last_known(self) -> Levels:
        """Return the latest reading, with what Node.js programs have reported last."""
        return with_more(self.latest, self._reported)

    def note_threshold(self, event: WatchEvent) -> None:
        """Note that a threshold was reached."""
        self._note(event)

    def record(self) -> WatchRecord:
        """Return all that is known so far."""
        lives = tuple(self._known_lives())
        trace = self._trace.trace()
        return WatchRecord(
            target=self._target,
            started=self._started,
            interval=self._interval,
            kept_interval=round(median(self._intervals), 4) if self._intervals else 0.0,
            seconds=round(self.elapsed, 3),
            samples=self._samples,
            with_children=self._children,
            lives=lives,
            trace=trace,
            first=self.first,
            last=self._last_known(),
            peak=self._peak.levels,
            growth=growth_of_watch(trace, lives, self._warm_up, is_node=self._node is not None),
            stages=(*self._stages, *map(self._stage, self._open_stages)),
            events=tuple(self._events),
            processes=self._members.grown_most(),
            begun=self._begun + (self._tree.begun if self._tree is not None else 0),
            gone=self._gone + (self._tree.gone if self._tree is not None else 0),
            gaps=(*self._gaps.items(), *(self._node.gaps() if self._node else ())),
            iterations=self._node.iterations(self._start) if self._node else (),
        )

    def close(self) -> None:
        """Close all files."""
        if self._tree is not None:
            self._tree.close()
            self._tree = None

    # One process after another

    def _begin(self, pid: int) -> None:
        self._identity = identity_of(pid)
        command = self._identity.text if self._identity is not None else str(pid)
        at = round(self.elapsed, 3)
        self._lives.append(Life(pid=pid, command=command, start=at, end=at))
        self.is_alive = True
        self._sampled = 0.0
        try:
            self._tree = self._open(pid, children=self._children, now=self._now)
        except OSError:
            self._close_life(ended=True)
            self._note(WatchEvent(seconds=self.elapsed, kind="ended", pid=pid))
            return
        self._mark = None
        self.sample()

    def _close_life(self, *, ended: bool) -> None:
        self._lives[-1] = self._life(self._lives[-1], ended=ended)
        self.is_alive = False
        if self._tree is not None:
            self._begun += self._tree.begun
            self._gone += self._tree.gone
            self._tree.close()
            self._tree = None

    def _search(self) -> None:
        now = self._now()
        if self._identity is None or now < self._search_due:
            return
        began = time.perf_counter()
        former = self._identity
        found = successor_of(former, self._last_seen - self._interval)
        pause = 50 * (time.perf_counter() - began)
        self._search_due = now + max(_SEARCH_PAUSE, pause)
        if found is not None:
            self.take_over(found.pid)

    def _notice_new_program(self) -> None:
        """Begin a new life where the process has replaced its program: memory began anew."""
        if self._identity is None:
            return
        pid, program, former = self.pid, program_of(self.pid), self._identity.program
        if program in {*_UNKNOWN_PROGRAMS, former}:
            return
        if former in _UNKNOWN_PROGRAMS:  # it was just being started
            self._identity = identity_of(pid)
            if self._identity is not None:
                self._lives[-1] = replace(self._lives[-1], command=self._identity.text)
            return
        self._close_life(ended=False)
        self._note(WatchEvent(seconds=self.elapsed, kind="replaced", pid=pid, former=pid))
        self._begin(pid)

    # What was read

    def _keep(self, levels: Levels) -> None:
        now = self._now()
        at = now - self._start
        if self._sampled:
            self._intervals.append(now - self._sampled)
        self._sampled = now
        self._last_seen = moment()
        self._samples += 1
        if self._samples == 1:
            self.first = levels
        elif self.first.heap_used is None and levels.heap_used is not None:
            self.first = with_more(self.first, _node_levels(levels))
        self.latest = levels
        self._reported |= {s: v for s, v in _node_levels(levels).items() if v is not None}
        tree = self._tree
        cpu = tree.cpu_seconds if tree is not None else 0.0
        self._trace.add(at, len(self._lives) - 1, cpu, levels)
        self._peak.note(levels)
        for stage in self._open_stages:
            stage.peak.note(levels)
        if tree is not None:
            self._note_own_peak(tree, levels)
            self._members.note(tree.processes())
            self._gaps.update(tree.gaps())

    def _note_own_peak(self, tree: WatchedTree, levels: Levels) -> None:
        """Take the kernel's mark of a process without descendants as its peak, if it rose."""
        mark, before = tree.own_peak(), self._mark
        if mark is None:
            return
        self._mark = mark
        if before is not None and mark > before and not levels.children:
            self._peak.note_rss(mark)
            for stage in self._open_stages:
                stage.peak.note_rss(mark)

    def _known_lives(self) -> list[Life]:
        *before, last = self._lives
        return [*before, self._life(last, ended=False) if self.is_alive else last]

    def _life(self, life: Life, *, ended: bool) -> Life:
        return replace(life, end=round(self.elapsed, 3), ended=ended)

    def _stage(
        self, stage: OpenStage, end: float | None = None, after: Levels | None = None
    ) -> StageOfWatch:
        end = self.elapsed if end is None else end
        return StageOfWatch(
            name=stage.name,
            start=round(stage.start, 3),
            end=round(end, 3),
            before=stage.before,
            after=self._last_known() if after is None else after,
            peak=stage.peak.levels,
            growth=growth_of_watch(
                self._trace.trace(),
                self._known_lives(),
                self._warm_up,
                stage.start,
                end,
                is_node=self._node is not None,
            ),
        )

    def _note(self, event: WatchEvent) -> None:
        self._events.append(event)


def _node_levels(levels: Levels) -> dict[NodeSignal, int | None]:
    return {signal: levels.of(signal) for signal in (*NODE_SIGNALS, *HIDDEN_SIGNALS)}
