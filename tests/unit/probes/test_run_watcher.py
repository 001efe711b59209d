"""Tests of what watches a run: with a tree, limits and a clock of the tests."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from pytest_memguard.model.aborts import ProcessLevel, last_line
from pytest_memguard.probes import run_watcher
from pytest_memguard.probes.memory_limit import MemoryLimit
from pytest_memguard.probes.run_levels import LinuxRun
from pytest_memguard.probes.run_levels_psutil import PsutilRun
from pytest_memguard.probes.run_watcher import RunWatcher, wait_seconds, watch
from pytest_memguard.probes.tree_linux import TreeSample
from pytest_memguard.sizes import GIB, MIB

SIZE = 1000 * MIB


class FakeRun:
    """A run that uses what a test says, and a system that has as much left."""

    def __init__(self) -> None:
        """Begin with one process."""
        self.least = self.most = self.exact = 100 * MIB
        self.living: list[object] = []
        self.available = 3 * GIB
        self.time = 0.0
        self.asked: list[bool] = []
        self.is_gone = False

    def check_root(self) -> None:
        """Raise if it has ended."""
        if self.is_gone:
            raise ProcessLookupError

    def sample(self, *, exact: bool) -> TreeSample:
        """The memory it uses now."""
        self.check_root()
        self.asked.append(exact)
        if exact:
            self.time += 0.1
            return TreeSample(self.exact, self.exact, exact=True)
        return TreeSample(self.least, self.most)

    def levels(self) -> tuple[ProcessLevel, ...]:
        """One process."""
        return (ProcessLevel(pid=7, parent=1, size=self.most),)

    def limits(self) -> list[MemoryLimit]:
        """Two limits, of which the second is nearer."""
        machine = MemoryLimit(size=64 * GIB, available=40 * GIB, source="m", place="")
        group = MemoryLimit(size=4 * GIB, available=self.available, source="g", place="")
        return [machine, group]

    def watcher(self, size=SIZE) -> RunWatcher:
        """The watcher of the run."""
        return RunWatcher(self, size, self.limits, lambda: self.time)


@pytest.fixture
def run() -> FakeRun:
    """A run."""
    return FakeRun()


@pytest.mark.parametrize(
    ("room", "seconds"),
    [(-MIB, run_watcher.FASTEST_SECONDS), (GIB // 4, 0.0625), (64 * GIB, 0.25)],
)
def test_a_run_far_from_the_line_is_read_rarely(room, seconds) -> None:
    """The closer a run is to the line, the more often it is read."""
    if room != GIB // 4 or seconds > run_watcher.FASTEST_SECONDS:
        assert seconds == wait_seconds(room)


@pytest.mark.parametrize(
    ("least", "most", "exact", "living", "room", "reads"),
    [
        pytest.param(900, 900, 0, 0, 100, 0, id="alone"),
        pytest.param(1100, 1100, 0, 0, -100, 0, id="alone-above"),
        pytest.param(500, 950, 0, 1, 50, 0, id="below-at-most"),
        pytest.param(1010, 1900, 0, 1, -10, 0, id="above-at-least"),
        pytest.param(500, 1900, 800, 1, 200, 1, id="shared"),
        pytest.param(500, 1900, 1200, 1, -200, 1, id="not-shared"),
    ],
)
def test_what_is_shared(run, least, most, exact, living, room, reads) -> None:
    """Shared memory is read only where it decides."""
    run.least, run.most, run.exact = least * MIB, most * MIB, exact * MIB
    run.living = [object()] * living
    assert room == run.watcher().read().room // MIB
    assert reads == run.asked.count(True)


def test_reading_what_is_shared_takes_little_of_the_time(run) -> None:
    """Shared memory is not read again for twenty times as long as a reading took."""
    run.living, run.most, run.exact = [object()], 2 * SIZE, SIZE // 2
    watcher = run.watcher()
    for _ in range(100):
        watcher.read()
        run.time += 0.02
    assert run.asked.count(True) == 1
    run.time += 1
    watcher.read()
    assert run.asked.count(True) == 2


@pytest.mark.parametrize(
    ("available", "room", "urgent"), [(1000, 795, False), (200, -5, False), (40, -165, True)]
)
def test_limits_of_the_system(run, available, room, urgent) -> None:
    """Without a size the reserve of the nearest limit counts, and the last part of it."""
    run.available = available * MIB
    watcher = run.watcher(0)
    reading = watcher.read()
    assert (room, "g") == (round(reading.room / MIB), reading.limit.source)
    assert urgent == watcher.is_urgent()
    breach = watcher.breach(reading)
    assert (available * MIB, "4.00 GiB (g)") == (breach.available, breach.source)
    assert run.most == breach.used


def test_no_more_than_is_in_use(run) -> None:
    """Shared memory is counted no further than the system has in use."""
    run.available, run.most = 100 * MIB, 9 * GIB
    watcher = run.watcher(0)
    assert watcher.breach(watcher.read()).used == 4 * GIB - 100 * MIB


class Course:
    """Drives `watch`, one step for each pause."""

    def __init__(self, run, monkeypatch, steps, answers=()) -> None:
        """Set what a run does at each pause."""
        self.run, self.steps, self.answers = run, list(steps), dict(answers)
        self.warned, self.said, self.killed = [], [], []
        self.number = -1
        monkeypatch.setattr(os, "kill", lambda pid, sign: self.killed.append((pid, sign)))
        with pytest.raises(ProcessLookupError):
            watch(run.watcher(), self.warn, self.said.append, self.pauses, lambda: run.time)

    def warn(self, breach) -> None:
        """Note at which step."""
        self.warned.append((self.number, breach is not None))

    def pauses(self, _seconds):
        """Take the next step, a second later."""
        self.number += 1
        if self.number == len(self.steps):
            self.run.is_gone = True
        else:
            self.run.most = self.run.least = self.steps[self.number]
        self.run.time += 1.0
        if self.number in self.answers:
            yield self.answers[self.number]


def test_warned_until_it_stops(run, monkeypatch) -> None:
    """A run is warned once a second until it stops, and the breach is sent once."""
    course = Course(run, monkeypatch, [SIZE, SIZE + 1, SIZE, SIZE, SIZE], {4: b"stops\n"})
    assert course.warned == [(1, True), (2, False), (3, False)]
    assert course.killed == []


def test_killed_if_it_goes_on(run, monkeypatch) -> None:
    """A run that goes far beyond the line for seconds is killed, once."""
    course = Course(run, monkeypatch, [SIZE * 2] * 10, {2: b"stops\n"})
    assert course.killed == [(7, signal.SIGKILL)]
    assert "pytest was killed" in course.said[0]


def test_just_above_it_is_not_killed(run, monkeypatch) -> None:
    """A run that does not use much more is left alone."""
    course = Course(run, monkeypatch, [last_line(SIZE)] * 10)
    assert (course.killed, course.said) == ([], [])


def test_killed_before_the_system_does_it(run, monkeypatch) -> None:
    """A run that was warned is killed at once where the system has nothing left."""
    run.available = 10 * MIB
    course = Course(run, monkeypatch, [SIZE * 2] * 3, {1: b"stops"})
    assert course.killed == [(7, signal.SIGKILL)]


@pytest.mark.skipif(sys.platform != "linux", reason="Linux")
def test_levels_on_linux() -> None:
    """The levels are those of the processes."""
    tree = LinuxRun(os.getpid())
    tree.check_root()
    (first, *_) = tree.levels()
    assert (os.getpid(), os.getppid()) == (first.pid, first.parent)
    assert first.size > MIB
    tree.close()


def test_levels_elsewhere() -> None:
    """The levels are those of the processes where there is no /proc, too."""
    tree = PsutilRun(os.getpid())
    tree.check_root()
    (first, *_) = tree.levels()
    assert (os.getpid(), os.getppid()) == (first.pid, first.parent)
    assert first.size > MIB
