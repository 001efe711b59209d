"""Tests of flight records: whole, torn, damaged, and not ours."""

from __future__ import annotations

import os

import pytest

from pytest_memguard.model.flights import Flight, FlightLine, Span
from pytest_memguard.storage.flight_records import (
    LARGEST,
    end_line,
    header_line,
    raised_lines,
    read_flight,
    start_line,
)

FLIGHT = Flight(path="", worker="gw0", pid=7, level=50, highest=60, time=1.5, tests=3)
ODD = 'test_a.py::test["\n\t\u2028\udc80\x1b[31m\U0001f600]'
SPAN = Span(low=10, high=30, nodeid=ODD, tests=1)
LINES = (start_line(2.0, 51, 61, ODD), end_line(2.5, 55, 65))


@pytest.fixture
def record(tmp_path):
    """Write a record, and read it."""

    def record(data: str | bytes):
        path = tmp_path / "gw0.flight"
        path.write_bytes(data if isinstance(data, bytes) else data.encode("ascii"))
        return read_flight(path)

    return record


def test_round_trip(record) -> None:
    """A record with any name of a test is read as it was written."""
    flight = record(header_line(FLIGHT) + raised_lines([SPAN]) + "".join(LINES))
    assert (
        flight.pid,
        flight.worker,
        flight.level,
        flight.highest,
        flight.time,
        flight.tests,
    ) == (7, "gw0", 50, 60, 1.5, 3)
    assert flight.lines == (
        FlightLine(kind="raised", low=10, level=30, nodeid=ODD),
        FlightLine(kind="start", time=2.0, level=51, highest=61, nodeid=ODD),
        FlightLine(kind="end", time=2.5, level=55, highest=65),
    )
    assert flight.problems == ()


@pytest.mark.parametrize("line", LINES)
def test_lines_are_lines(line) -> None:
    """A line has one line break, at its end, and ASCII alone."""
    assert line.isascii()
    assert line.splitlines() == [line[:-1]]


@pytest.mark.parametrize("length", range(1, len(LINES[1])))
def test_torn_anywhere(record, length) -> None:
    """A last line without its end is not read, and named."""
    flight = record(header_line(FLIGHT) + LINES[0] + LINES[1][:length])
    assert len(flight.lines) == 1
    (problem,) = flight.problems
    assert "gw0.flight is torn: '[" in problem


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "is empty: the process had not begun", id="empty"),
        pytest.param(header_line(FLIGHT)[:20], "it is no flight record", id="torn-header"),
        pytest.param("{}\n", "it is no flight record", id="other-object"),
        pytest.param("[]\n", "it is no flight record", id="other-json"),
        pytest.param(b"\x00\xff\xfe" * 9, "it is no flight record", id="binary"),
        pytest.param("[" * 99_999, "it is no flight record", id="deep"),
        pytest.param('{"format": 2}\n', "it is in format 2, this version reads", id="newer"),
    ],
)
def test_not_a_record(record, text, words) -> None:
    """A file that is no record has no process, and a reason."""
    flight = record(text)
    assert (flight.pid, flight.lines) == (0, ())
    (problem,) = flight.problems
    assert words in problem


def test_damaged_lines(record) -> None:
    """Lines that cannot be read are counted, and the others are read."""
    bad = ['["start"]\n', "\n", "{}\n", '["other",1,2,3]\n', '["end",1,"x",3]\n']
    flight = record(header_line(FLIGHT) + LINES[0] + "".join(bad) + LINES[1])
    assert len(flight.lines) == 2
    assert flight.problems[0].endswith("has lines that cannot be read: 3, 4, 5 and 2 more")


def test_stopped(record) -> None:
    """A record that was given up says why."""
    (problem,) = record(header_line(FLIGHT, "the disk is full")).problems
    assert problem.endswith("ends early: the disk is full")


def test_too_long(record) -> None:
    """A record that is none of ours in size is read in part."""
    flight = record(header_line(FLIGHT) + LINES[0] + "x" * LARGEST)
    assert any("is too long" in problem for problem in flight.problems)
    assert len(flight.lines) == 1


def test_missing(tmp_path) -> None:
    """A file that is not there, or is no file, is named with the reason."""
    assert "No such file" in read_flight(tmp_path / "gone.flight").problems[0]
    assert "it is a folder" in read_flight(tmp_path).problems[0]


@pytest.mark.skipif(os.name != "posix", reason="there are no named pipes")
def test_named_pipe(tmp_path) -> None:
    """A named pipe is not waited for."""
    os.mkfifo(tmp_path / "gw0.flight")
    assert "named pipe" in read_flight(tmp_path / "gw0.flight").problems[0]
