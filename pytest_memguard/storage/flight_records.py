"""Reads and writes flight records: what a process writes down at each test it runs.

A record has a line of JSON for its beginning, and one for each start and end of a test. Lines
are only appended, so a process that is killed leaves at most its last line unfinished. A record
that has grown long is replaced by a short one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from pytest_memguard.formats import Json, other_format
from pytest_memguard.model.flights import Flight, FlightLine, Span
from pytest_memguard.storage.files import open_regular

FORMAT: Final = 1
# 1: first format.
LARGEST: Final = 4 * 1024**2
"""Most bytes that are read of a record: no record of ours is as long."""
_quote: Final[Callable[[str], str]] = json.encoder.encode_basestring_ascii


def header_line(flight: Flight, stopped: str = "") -> str:
    """Return the first line of a record.

    Args:
        flight: the record.
        stopped: why nothing more is written to it; empty if that is not so.
    """
    header: Json = {
        "format": FORMAT,
        "worker": flight.worker,
        "pid": flight.pid,
        "time": round(flight.time, 3),
        "level": flight.level,
        "highest": flight.highest,
        "tests": flight.tests,
    }
    if stopped:
        header["stopped"] = stopped
    return json.dumps(header) + "\n"


def start_line(time: float, level: int, highest: int, nodeid: str) -> str:
    """Return the line for the start of a test."""
    return f'["start",{time:.3f},{level},{highest},{_quote(nodeid)}]\n'


def end_line(time: float, level: int, highest: int) -> str:
    """Return the line for the end of the test that was started last."""
    return f'["end",{time:.3f},{level},{highest}]\n'


def raised_lines(spans: Iterable[Span]) -> str:
    """Return the lines for what earlier tests have raised, from the bottom."""
    return "".join(
        f'["raised",{span.low},{span.high},{_quote(span.nodeid)},{span.tests}]\n'
        for span in spans
    )


def read_flight(path: Path) -> Flight:
    """Return a flight record, as far as it can be read.

    Args:
        path: the file. It is not changed.

    Returns:
        The record; its problems name what could not be read. If nothing could be, it has no
        number of a process.
    """
    empty = Flight(path=str(path))
    try:
        with open(open_regular(path), "rb") as file:  # noqa: PTH123  a descriptor
            data = file.read(LARGEST + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        return replace(empty, problems=(f"{path} cannot be read ({reason})",))
    if not data:
        return replace(empty, problems=(f"{path} is empty: the process had not begun",))
    return _parsed(empty, data)


def _parsed(empty: Flight, data: bytes) -> Flight:
    path = empty.path
    first, *rest = data[:LARGEST].split(b"\n")
    try:
        flight, stopped = _header(empty, json.loads(first))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        what = str(error) if isinstance(error, _OtherFormatError) else "no flight record"
        return replace(empty, problems=(f"{path} cannot be read: it is {what}",))
    problems = [f"{path} ends early: {stopped}"] if stopped else []
    if len(data) > LARGEST:
        problems.append(f"{path} is too long: only its beginning was read")
    torn = rest.pop() if rest else b""
    lines, bad = [], []
    for number, text in enumerate(rest, 2):
        try:
            lines.append(_line(json.loads(text)))
        except (ValueError, KeyError, TypeError, IndexError, RecursionError):
            bad.append(number)
    if bad:
        numbers = ", ".join(map(str, bad[:3]))
        more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
        problems.append(f"{path} has lines that cannot be read: {numbers}{more}")
    if torn:
        shown = torn[:80].decode("utf-8", "replace")
        problems.append(f"the last line of {path} is torn: {shown!r}")
    return replace(flight, lines=tuple(lines), problems=tuple(problems))


class _OtherFormatError(ValueError):
    """The record has another format."""


def _header(empty: Flight, header: Json) -> tuple[Flight, str]:
    if header["format"] != FORMAT:
        raise _OtherFormatError("in " + other_format(header["format"], FORMAT))
    flight = replace(
        empty,
        worker=str(header["worker"]),
        pid=int(header["pid"]),
        time=float(header["time"]),
        level=int(header["level"]),
        highest=int(header["highest"]),
        tests=int(header["tests"]),
    )
    return flight, str(header.get("stopped", ""))


def _line(fields: list[Any]) -> FlightLine:
    kind = fields[0]
    if kind == "raised":
        _, low, high, nodeid, tests = fields
        return FlightLine(
            kind="raised", low=int(low), level=int(high), nodeid=str(nodeid), tests=int(tests)
        )
    if kind not in {"start", "end"}:
        raise ValueError(kind)
    return FlightLine(
        kind=kind,
        time=float(fields[1]),
        level=int(fields[2]),
        highest=int(fields[3]),
        nodeid=str(fields[4]) if kind == "start" else "",
    )
