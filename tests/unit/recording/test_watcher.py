"""A watch through restarts, stages and long times, with a clock of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_memguard.codecs.watch_codecs import WATCH_CODEC, watch_from_json
from pytest_memguard.recording.pace import Pace
from pytest_memguard.recording.watcher import Watcher
from pytest_memguard.sizes import MIB
from pytest_memguard.watch_levels import levels_of
from tests.support.watched_programs import sleeper, wait_until


class Clock:
    """A clock that goes on only when it is set."""

    def __init__(self) -> None:
        """Begin at some time."""
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


class FakeTree:
    """Readings that grow by so many bytes a second."""

    rate = 0
    now = None
    mark = None

    def __init__(self, pid, *, now, **_) -> None:
        """Begin to grow."""
        self.pid, self.start, self.cpu_seconds = pid, now(), 0.0
        self.clock, self.begun, self.gone = now, 0, 0

    def read(self, **_):
        """A reading."""
        self.cpu_seconds += 0.01
        rss = 50 * MIB + int(self.rate * (self.clock() - self.start))
        return levels_of({"rss": rss, "fds": 4, "threads": 1, "connections": 0, "children": 0})

    def own_peak(self):
        """The mark."""
        return self.mark

    def processes(self):
        """No processes."""
        return []

    def gaps(self):
        """Nothing is missing."""
        return []

    def close(self):
        """Nothing to close."""


def run(watcher, clock, seconds, interval=1.0) -> None:
    """Sample for some time."""
    pace = Pace(interval, clock)
    end = clock.time + seconds
    while clock.time < end:
        clock.time += pace.wait_seconds()
        pace.step()
        watcher.sample()


@pytest.fixture
def clock():
    """A clock."""
    return Clock()


@pytest.fixture
def process():
    """A process that lives."""
    with sleeper() as running:
        yield running


def test_a_day(clock, process) -> None:
    """24 hours take as much memory as one, and a leak of 1 MiB an hour is found."""

    class Slow(FakeTree):
        """It leaks."""

        rate = MIB / 3600

    watcher = Watcher(process.pid, interval=10, now=clock, open_tree=Slow)
    run(watcher, clock, 86_400, 10)
    record = watcher.record()
    assert record.samples == 8_641
    assert len(record.trace.seconds) <= 2_000
    assert (record.kept_interval, record.seconds) == (10.0, 86_400.0)
    assert record.growth.state == "growing"
    assert pytest.approx(record.growth.of("rss").per_hour / MIB, abs=0.01) == 1.0
    assert pytest.approx(record.growth.seconds, rel=0.01) == 57_600


def test_pace_without_drift(clock) -> None:
    """A late sample moves none of the later ones; missed samples are left out."""
    pace = Pace(0.1, clock)
    clock.time += 0.13
    pace.step()
    assert pytest.approx(pace.wait_seconds()) == 0.07
    clock.time += 1.0
    pace.step()
    assert pytest.approx(pace.wait_seconds()) == 0.07


def test_stages(clock, process) -> None:
    """A stage has readings at its start and end, a peak, and a verdict of its own."""
    FakeTree.rate = 0
    watcher = Watcher(process.pid, now=clock, open_tree=FakeTree)
    run(watcher, clock, 40)
    watcher.begin_stage("load")
    FakeTree.rate = MIB  # a jump by what has passed, and then a leak
    run(watcher, clock, 40)
    stage = watcher.end_stage("load")
    FakeTree.rate = 0
    assert (stage.start, stage.end) == (40.0, 80.0)
    assert (stage.before.rss, stage.peak.rss) == (50 * MIB, 130 * MIB)
    assert stage.growth.state == "growing"
    assert (stage,) == watcher.record().stages


def test_the_kernels_mark_is_a_peak(clock, process) -> None:
    """A peak between two samples is known if the kernel's mark has risen since the start."""

    class Marked(FakeTree):
        """It has a mark."""

        mark = 60 * MIB

    watcher = Watcher(process.pid, now=clock, open_tree=Marked)
    watcher.sample()
    assert watcher.record().peak.rss == 50 * MIB
    Marked.mark = 90 * MIB
    watcher.sample()
    assert (watcher.record().peak.rss, watcher.record().last.rss) == (90 * MIB, 50 * MIB)


def test_a_restart_is_followed() -> None:
    """The process that takes the place of one that has ended is watched, and that is noted."""
    with sleeper("71") as first:
        watcher = Watcher(first.pid, interval=0.01)
        assert watcher.sample()
    assert not watcher.sample()
    assert not watcher.is_alive
    with sleeper("71") as second:
        assert wait_until(watcher.sample)
        assert watcher.pid == second.pid
    watcher.sample()
    record = watcher.record()
    watcher.close()
    assert [first.pid, second.pid] == [life.pid for life in record.lives]
    assert [life.ended for life in record.lives] == [True, True]
    found = [(event.kind, event.pid, event.former) for event in record.events]
    assert [
        ("ended", first.pid, 0),
        ("restarted", second.pid, first.pid),
        ("ended", second.pid, 0),
    ] == found
    assert record.lives[1].command == "/bin/sleep 71"


def test_another_process_is_followed_on_request(process) -> None:
    """The user names the process that has taken the place of another."""
    with sleeper("72") as other:
        watcher = Watcher(process.pid)
        watcher.follow(other.pid)
        watcher.follow(other.pid)
        record = watcher.record()
        watcher.close()
    assert [event.kind for event in record.events] == ["followed"]
    assert [life.ended for life in record.lives] == [False, False]


@pytest.mark.skipif(sys.platform != "linux", reason="only /proc shows it")
def test_a_new_program_begins_anew() -> None:
    """A process that replaces its program (exec) has another life: its memory began anew."""
    with subprocess.Popen(
        ["/bin/sh", "-c", "read line; exec /bin/sleep 60"], stdin=subprocess.PIPE
    ) as shell:
        watcher = Watcher(shell.pid)
        shell.stdin.write(b"\n")
        shell.stdin.flush()
        assert wait_until(lambda: watcher.sample() and watcher.events)
        record = watcher.record()
        watcher.close()
        shell.kill()
    assert [("replaced", shell.pid)] == [(event.kind, event.pid) for event in record.events]
    assert [life.command.split()[0] for life in record.lives] == ["/bin/sh", "/bin/sleep"]


def test_a_process_that_ends_at_once() -> None:
    """A process that ends between the check and the first reading is an event, no error."""

    class Gone(FakeTree):
        """It ends."""

        def read(self, **_):
            """It has ended."""
            raise ProcessLookupError

    with sleeper() as ended:
        watcher = Watcher(ended.pid, open_tree=Gone)
    record = watcher.record()
    assert [event.kind for event in record.events] == ["ended"]
    assert (
        record.growth.state,
        record.growth.doubt,
        record.samples,
    ) == ("undecided", "short", 0)


def test_round_trip(process) -> None:
    """A record is the same after it was written as JSON and read back."""
    watcher = Watcher(process.pid, interval=0.01)
    watcher.begin_stage("a")
    watcher.sample()
    watcher.end_stage("a")
    record = watcher.record()
    watcher.close()
    assert record == watch_from_json(WATCH_CODEC.write(record), "x")
