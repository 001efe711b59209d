"""Samples a program and its descendants, through restarts, and keeps what it has found out."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from math import inf
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
from pytest_memguard.recording.watch_samples import WatchSamples
from pytest_memguard.recording.watched_stages import WatchedStages
from pytest_memguard.watch_levels import SIGNALS, Levels, with_more
from pytest_memguard.watches import (
    EventKind,
    Life,
    StageOfWatch,
    WatchEvent,
    WatchGrowth,
    WatchRecord,
)

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
        self._target = target or str(pid)
        self._started = datetime.now(tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._start = now()
        self._lives: list[Life] = []
        self._events: deque[WatchEvent] = deque(maxlen=_MOST_EVENTS)
        self._stages = WatchedStages(self._growth)
        self._samples = WatchSamples(self._stages)
        self._tree: WatchedTree | None = None
        self._identity: Identity | None = None
        self._last_seen = moment()
        self._search_due = 0.0
        self._begun = self._gone = 0
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
    def first(self) -> Levels:
        """The first reading."""
        return self._samples.first

    @property
    def latest(self) -> Levels:
        """The latest reading."""
        return self._samples.latest

    @property
    def peak(self) -> Levels:
        """The highest reading of each signal."""
        return self._samples.peak

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
        self._last_seen = moment()
        self._samples.add(levels, self.elapsed, len(self._lives) - 1, self._tree)
        return True

    def begin_stage(self, name: str) -> None:
        """Begin a named part of the watch."""
        self.sample()
        self._stages.begin(name, self.elapsed, self.latest)

    def end_stage(self, name: str) -> StageOfWatch:
        """End a named part of the watch, the latest of this name."""
        self.sample()
        return self._stages.end(name, self.elapsed, self._samples.last_known())

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
        self._stages.mark(mark.name, at, levels)

    def _as_marked(self, mark: StageMark) -> Levels:
        """Return the latest reading, with what the program has reported itself."""
        levels = zip(SIGNALS, mark.levels, strict=True)
        reported = {signal: level for signal, level in levels if level is not None}
        if self.latest.children or len(self._lives) > 1:
            reported.pop("rss", None)  # that of the whole tree counts
        return with_more(self._samples.last_known(), reported)

    def note_threshold(self, event: WatchEvent) -> None:
        """Note that a threshold was reached."""
        self._note(event)

    def record(self) -> WatchRecord:
        """Return all that is known so far."""
        samples = self._samples
        return WatchRecord(
            target=self._target,
            started=self._started,
            interval=self._interval,
            kept_interval=samples.interval,
            seconds=round(self.elapsed, 3),
            samples=samples.count,
            with_children=self._children,
            lives=tuple(self._known_lives()),
            trace=samples.trace.trace(),
            first=samples.first,
            last=samples.last_known(),
            peak=samples.peak,
            growth=self._growth(),
            stages=self._stages.known(self.elapsed, samples.last_known()),
            events=tuple(self._events),
            processes=samples.members.grown_most(),
            begun=self._begun + (self._tree.begun if self._tree is not None else 0),
            gone=self._gone + (self._tree.gone if self._tree is not None else 0),
            gaps=(*samples.gaps.items(), *(self._node.gaps() if self._node else ())),
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
        self._samples.begin_life()
        try:
            self._tree = self._open(pid, children=self._children, now=self._now)
        except OSError:
            self._close_life(ended=True)
            self._note(WatchEvent(seconds=self.elapsed, kind="ended", pid=pid))
            return
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

    def _known_lives(self) -> list[Life]:
        *before, last = self._lives
        return [*before, self._life(last, ended=False) if self.is_alive else last]

    def _life(self, life: Life, *, ended: bool) -> Life:
        return replace(life, end=round(self.elapsed, 3), ended=ended)

    def _growth(self, start: float = 0.0, end: float = inf) -> WatchGrowth:
        """Judge what grew between two times."""
        return growth_of_watch(
            self._samples.trace.trace(),
            self._known_lives(),
            self._warm_up,
            start,
            end,
            is_node=self._node is not None,
        )

    def _note(self, event: WatchEvent) -> None:
        self._events.append(event)
