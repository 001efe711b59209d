"""The process that watches what a whole run uses, and stops it before it is killed.

No thread of the test process could: Python 3.12 and later warn when a process with several
threads forks, and a thread waits while code in C holds the interpreter lock.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from math import inf
from typing import Final, NamedTuple, Protocol

from pytest_memguard.codecs.abort_codecs import BREACH_CODEC
from pytest_memguard.model.aborts import Breach, ProcessLevel, last_line, reserve_of
from pytest_memguard.probes.memory_limit import MemoryLimit, memory_limits
from pytest_memguard.probes.separate_child import leave_parent
from pytest_memguard.probes.tree_linux import TreeSample
from pytest_memguard.sizes import GIB

FASTEST_SECONDS: Final = 0.02 if sys.platform == "linux" else 0.2
"""Seconds between two readings at least; elsewhere finding descendants takes milliseconds."""
_SLOWEST_SECONDS: Final = 0.25
_BYTES_PER_SECOND: Final = 4 * GIB
"""How fast a run may take memory: the closer it is to the line, the more often it is read."""
_AGAIN_SECONDS: Final = 1.0
"""Seconds after which the signal is sent again: a test may have caught the exception."""
_PATIENCE_SECONDS: Final = 5.0
"""Seconds for which a run may be far above the line after the first signal."""
_LAST_PART: Final = 4
"""The last part of a reserve: where less is left, the system is about to kill something."""
_NOT_STOPPED: Final = (
    "it used more and more memory, and did not stop when it was asked to (mem_abort_at); "
    "memguard postmortem names the tests"
)
_SHARE_OF_TIME: Final = 20
"""So many times as long as reading what is shared took, it is not read again."""


class Reading(NamedTuple):
    """How much is in use, and how far that is from the line."""

    used: int
    """Bytes that the run uses; 0 if that does not count."""
    room: int
    """Bytes up to the line; negative above it."""
    beyond: bool
    """Whether it is far above the line."""
    limit: MemoryLimit | None
    """The limit of the system that is nearest, if that counts."""


class Tree(Protocol):
    """The processes of a run."""

    @property
    def living(self) -> Sequence[object]:
        """Those that the first one has started, and that live."""

    def check_root(self) -> None:
        """Raise an OSError if the first one has ended."""

    def sample(self, *, exact: bool) -> TreeSample:
        """Return what they use together."""

    def levels(self) -> tuple[ProcessLevel, ...]:
        """Return what each of them used at the last sample."""


class RunWatcher:
    """Reads what a run uses, less often while that is far from the line.

    Args:
        tree: its processes.
        size: bytes that they may use together; 0: as much as limits of the system allow.
        limits: returns the limits of the system.
        now: the clock.
    """

    def __init__(
        self,
        tree: Tree,
        size: int,
        limits: Callable[[], Sequence[MemoryLimit]] = memory_limits,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tree = tree
        self._size = size
        self._limits = limits
        self._now = now
        self._exact_due = 0.0

    def read(self) -> Reading:
        """Return how far the run is from the line.

        Raises:
            OSError: if it has ended.
        """
        if self._size:
            used = self.used()
            return Reading(used, self._size - used, used > last_line(self._size), None)
        self._tree.check_root()
        rooms = [(one.available - reserve_of(one.size), one) for one in self._limits()]
        room, limit = min(rooms, key=lambda pair: pair[0])
        return Reading(0, room, False, limit)

    def is_urgent(self) -> bool:
        """Return whether the system is about to kill something."""
        return any(one.available < reserve_of(one.size) // _LAST_PART for one in self._limits())

    def used(self) -> int:
        """Return what the processes use together.

        What several of them share is found out only where it can decide: it takes 40 ms for
        each GiB.

        Raises:
            OSError: if the run has ended.
        """
        rough = self._tree.sample(exact=False)
        if rough.most <= self._size or not self._tree.living:
            return rough.most
        if rough.least > self._size:
            return rough.least
        start = self._now()
        if start < self._exact_due:
            return self._size
        exact = self._tree.sample(exact=True).least
        self._exact_due = self._now()
        if exact <= self._size:
            self._exact_due += _SHARE_OF_TIME * (self._exact_due - start)
        return exact

    def breach(self, reading: Reading) -> Breach:
        """Return what is known at this moment.

        Args:
            reading: what shows that the run uses too much.
        """
        limit, used = reading.limit, reading.used
        if limit is not None:  # there is no time to find out what is shared
            used = min(self._tree.sample(exact=False).most, limit.size - limit.available)
        return Breach(
            used=used,
            available=None if limit is None else limit.available,
            source="" if limit is None else str(limit),
            processes=self._tree.levels(),
            time=time.time(),
        )

    def kill_largest(self) -> str:
        """Kill the process that has most, and return what it was."""
        self._tree.sample(exact=False)
        first, *_ = levels = self._tree.levels()
        largest = max(levels, key=lambda one: one.size)
        os.kill(largest.pid, signal.SIGKILL)
        return "pytest" if largest is first else f"process {largest.pid}"


def wait_seconds(room: int) -> float:
    """Return after how many seconds a run is read again.

    Args:
        room: bytes up to the line.
    """
    return min(_SLOWEST_SECONDS, max(FASTEST_SECONDS, room / _BYTES_PER_SECOND))


def watch(
    watcher: RunWatcher,
    notify: Callable[[Breach | None], None],
    say: Callable[[str], None],
    pauses: Callable[[float], Iterator[bytes]],
    now: Callable[[], float] = time.monotonic,
) -> None:
    """Watch a run until it has ended.

    Args:
        watcher: reads what it uses.
        notify: signals the run to stop, with what is known at the first time.
        say: prints a line for the user.
        pauses: waits for some seconds, and yields what the run answers meanwhile.
        now: the clock.

    Raises:
        OSError: if it has ended.
    """
    notified_at = again_at = inf
    stops = killed = False
    room = 0
    while True:
        for answer in pauses(wait_seconds(room)):
            stops = stops or b"stops" in answer
        reading = watcher.read()
        room, time = reading.room, now()
        if notified_at == inf and room >= 0:
            continue
        if notified_at == inf or (not stops and time >= again_at):
            notify(watcher.breach(reading) if notified_at == inf else None)
            notified_at, again_at = min(notified_at, time), time + _AGAIN_SECONDS
        elif not killed and (
            watcher.is_urgent() or (reading.beyond and time > notified_at + _PATIENCE_SECONDS)
        ):
            say(f"memguard: {watcher.kill_largest()} was killed: {_NOT_STOPPED}")
            killed = True


def main(root: int, number: int, size: int) -> None:  # pragma: no cover  in its own process
    """Watch a run.

    Args:
        root: number of its first process.
        number: the signal that stops it.
        size: bytes that it may use; 0: as much as limits of the system allow.
    """
    leave_parent()
    watcher = RunWatcher(tree_of_run(root), size)

    def notify(breach: Breach | None) -> None:
        if breach is not None:  # the pipe would be full some time
            write_line(json.dumps(BREACH_CODEC.write(breach)))
        os.kill(root, number)

    write_line("ready")
    try:
        watch(watcher, notify, _say, pauses_between)
    except OSError:
        os._exit(0)


def tree_of_run(root: int) -> Tree:  # pragma: no cover  in a process of its own
    """Return the processes of a run, without this one.

    Args:
        root: number of the first process.

    Raises:
        OSError: if it has ended.
    """
    tree: Tree
    if sys.platform == "linux":
        from pytest_memguard.probes.run_levels import LinuxRun

        tree = LinuxRun(root, {os.getpid()})
    else:
        from pytest_memguard.probes.run_levels_psutil import PsutilRun

        tree = PsutilRun(root, {os.getpid()})
    return tree


def write_line(line: str) -> None:  # pragma: no cover  in a process of its own
    """Report something to the process that has started this one."""
    os.write(1, f"{line}\n".encode())


def _say(line: str) -> None:  # pragma: no cover  in its own process
    os.write(2, f"\n{line}\n".encode())


def pauses_between(seconds: float) -> Iterator[bytes]:  # pragma: no cover  in its own process
    """Wait, and yield what the run answers; an end of the pipe is the end."""
    from select import select

    if select([0], [], [], seconds)[0]:
        answer = os.read(0, 4096)
        if not answer:
            sys.exit()
        yield answer
