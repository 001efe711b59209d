"""Tests of the recorder: every line is written at once, whatever tests do to descriptors."""

from __future__ import annotations

import errno
import os
import sys

import pytest

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.judge.raised_levels import course_of
from pytest_memguard.recording import flight_recorder
from pytest_memguard.recording.flight_recorder import FlightRecorder, highest_reader
from pytest_memguard.sizes import MIB
from pytest_memguard.storage.flight_records import read_flight

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork")


@pytest.fixture
def path(tmp_path):
    """The file of the record."""
    return tmp_path / "gw0.flight"


@pytest.fixture
def recorder(path):
    """A recorder with a level that tests set."""
    recorder = FlightRecorder(path, "gw0")
    yield recorder
    recorder.close()


def at(recorder, mib) -> None:
    """Set the level."""
    recorder._level = lambda: mib * MIB


def test_lines_are_there_at_once(recorder, path) -> None:
    """A reader sees each line as soon as it is written."""
    assert os.getpid() == read_flight(path).pid
    recorder.start("a")
    assert course_of(read_flight(path)).running == "a"
    recorder.end()
    assert (course_of(read_flight(path)).running, course_of(read_flight(path)).tests) == ("", 1)


def test_levels(recorder, path) -> None:
    """The levels are those of the process."""
    recorder.start("a")
    kept = bytearray(b"x") * (20 * MIB)
    recorder.end()
    (span,) = [span for span in course_of(read_flight(path)).spans if span.nodeid]
    assert len(kept) == pytest.approx(span.size, rel=0.1)
    assert read_flight(path).lines[-1].highest >= read_flight(path).lines[-1].level - MIB


def test_shortened(recorder, path, monkeypatch) -> None:
    """A record stays short, and knows the same as a long one."""
    monkeypatch.setattr(flight_recorder, "LONGEST", 20_000)
    largest = 0
    at(recorder, 10)
    for number in range(1_000):
        recorder.start(f"test_{number}")
        at(recorder, 10 + number // 100 + (500 if number > 700 else 0))
        recorder.end()
        largest = max(largest, path.stat().st_size)
    recorder.start("last")
    course = course_of(read_flight(path))
    assert largest < 21_000
    assert (course.tests, course.running, course.level) == (1_000, "last", 519 * MIB)
    named = {span.nodeid: span.size for span in course.spans if span.nodeid}
    assert named["test_701"] == 500 * MIB
    assert sum(named.values()) >= 508 * MIB
    assert [p for p in path.parent.iterdir() if p != path] == []


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors are not as high elsewhere")
def test_closed_by_a_test(recorder, path) -> None:
    """A test that closes every descriptor, and opens files of its own, is not written to."""
    recorder.start("a")
    number = recorder._file.number
    os.close(number)
    other = os.open(path.with_name("other"), os.O_RDWR | os.O_CREAT)
    os.dup2(other, number)
    try:
        recorder.end()
        recorder.start("b")
        assert os.pread(number, 10, 0) == b""
        assert (course_of(read_flight(path)).running, 1) == ("b", 1)
    finally:
        os.close(other)
        os.close(number)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
def test_forked_child(recorder, path) -> None:
    """A forked child that runs on writes nothing, and removes nothing."""
    recorder.start("a")
    child = os.fork()
    if child == 0:
        recorder.end()
        recorder.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert course_of(read_flight(path)).running == "a"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_cannot_be_written(recorder, path, number) -> None:
    """A record that cannot be written reports that, and names no test as running."""
    recorder.start("a")

    def fail(*_) -> int:
        raise OSError(number, os.strerror(number))

    recorder._write_to = fail
    recorder.end()
    recorder.start("b")
    flight = read_flight(path)
    assert ((), os.getpid()) == (flight.lines, flight.pid)
    assert flight.problems[0].endswith(f"ends early: {os.strerror(number)}")


def test_written_in_part(recorder, path) -> None:
    """A line that was written in part ends the record, too."""
    recorder._write_to = lambda number, data: os.write(number, data[:5])
    recorder.start("a")
    assert "ends early: the disk is full" in read_flight(path).problems[0]


@pytest.mark.parametrize("call", ["start", "end"])
def test_no_level(recorder, path, call) -> None:
    """A level that can no longer be read ends the record, with the reason."""

    def fail() -> int:
        msg = "there is no /proc"
        raise Unmeasurable(msg)

    recorder.start("a")
    recorder._level = fail
    recorder.end() if call == "end" else recorder.start("b")
    assert "ends early: there is no /proc" in read_flight(path).problems[0]


def test_cannot_be_shortened(recorder, path, monkeypatch) -> None:
    """A recorder that cannot replace its record gives it up."""
    monkeypatch.setattr(flight_recorder, "LONGEST", 10)
    path.with_suffix(".new").mkdir()
    recorder.start("a")
    recorder.end()
    assert "ends early:" in read_flight(path).problems[0]


def test_close(recorder, path) -> None:
    """Once closed, the recorder leaves no file and writes no more."""
    recorder.close()
    recorder.start("a")
    assert not path.exists()


def test_highest() -> None:
    """The highest level is not below what was in use."""
    before = highest_reader()()
    block = bytearray(b"x") * (before // 2 + 30 * MIB)
    assert highest_reader()() >= min(len(block), before)
