"""What Node.js programs report, from lines as they write them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pytest_memguard.probes.node_reports import PRELOAD, NodeReports, parse_report

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")

MEMORY = {"rss": 50, "heapTotal": 9, "heapUsed": 7, "external": 2, "arrayBuffers": 1}
READING = {"kind": "reading", "pid": 3, "thread": 0, "at": 1.5, "memory": MEMORY, "kept": None}


def line(**changes) -> bytes:
    """A line of a program."""
    return json.dumps({**READING, **changes}).encode()


def test_a_reading() -> None:
    """All numbers arrive; what was left by a collection only if there was one."""
    report = parse_report(line())
    assert (report.kind, report.thread, report.at, report.rss) == ("reading", (3, 0), 1.5, 50)
    names = ("heap_total", "heap_used", "external", "array_buffers")
    assert dict(zip(names, (9, 7, 2, 1), strict=True)) == report.memory
    kept = parse_report(line(kept={"heapUsed": 5, "external": 1}))
    assert {**report.memory, "heap_kept": 5, "external_kept": 1} == kept.memory


def test_marks() -> None:
    """Stages have a name, iterations numbers, and snapshots a file."""
    assert parse_report(line(kind="stage", name="load")).text == "load"
    assert parse_report(line(kind="stage", name="")).text == ""
    report = parse_report(line(kind="iteration", count=10, of=100))
    assert (report.count, report.of) == (10, 100)
    snapshot = {"kind": "snapshot", "pid": 3, "thread": 0, "at": 1, "file": "/x"}
    assert parse_report(json.dumps(snapshot).encode()).text == "/x"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="cut-off"),
        pytest.param(b"[1]", id="list"),
        pytest.param(b"\xff", id="bytes"),
        pytest.param(line(kind="other"), id="kind"),
        pytest.param(line(pid="3"), id="text-for-a-number"),
        pytest.param(line(pid=True), id="truth-for-a-number"),
        pytest.param(line(memory={**MEMORY, "heapUsed": -1}), id="negative"),
        pytest.param(line(memory={**MEMORY, "heapUsed": 1e300}), id="huge"),
        pytest.param(line(memory=None), id="no-memory"),
        pytest.param(line(at=None), id="no-time"),
        pytest.param(line(kind="iteration", count=1.5), id="half-an-iteration"),
    ],
)
def test_what_makes_no_sense_is_left_out(text) -> None:
    """A program may write anything: no line stops a watch."""
    assert parse_report(text) is None


def test_the_pipe() -> None:
    """Lines arrive whole, however they were written, and the folder is private."""
    reports = NodeReports(0.1)
    try:
        environment = reports.environment({"NODE_OPTIONS": "--no-warnings", "A": "b"})
        folder, interval = environment["MEMGUARD_NODE"].split("\n")
        assert interval == "100"
        assert environment["A"] == "b"
        assert environment["NODE_OPTIONS"] == f'--no-warnings --require "{PRELOAD}"'
        assert Path(folder).stat().st_mode & 0o777 == 0o700
        assert reports.receive() == []
        pipe = os.open(Path(folder, "reports"), os.O_WRONLY)
        text = line() + b"\nnonsense\n" + line(pid=4) + b"\n"
        os.write(pipe, text[:70])
        assert reports.receive() == []
        os.write(pipe, text[70:])
        os.close(pipe)
        assert [report.thread[0] for report in reports.receive()] == [3, 4]
        assert reports.receive() == []
    finally:
        reports.close()
    assert not Path(folder).exists()


def test_the_path_of_the_script_is_quoted(monkeypatch) -> None:
    """A path with spaces, quotes and backslashes is one argument for Node.js."""
    monkeypatch.setattr("pytest_memguard.probes.node_reports.PRELOAD", '/a b/"c"\\d.cjs')
    reports = NodeReports(1)
    try:
        options = reports.environment({})["NODE_OPTIONS"]
    finally:
        reports.close()
    assert options == '--require "/a b/\\"c\\"\\\\d.cjs"'
