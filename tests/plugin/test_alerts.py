"""Processes that really reach a level: it is reported at once and at the end."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import jsonschema
import pytest

SCHEMA = Path(__file__).parents[2] / "docs/mem-json.schema.json"
XDIST = ["xdist.plugin"]
SUITE = """
    import pytest

    KEPT = []

    @pytest.fixture
    def late():
        yield
        rows = bytearray(b"x") * (150 << 20)

    def test_small():
        pass

    def test_call():
        KEPT.append(bytearray(b"x") * (150 << 20))

    def test_teardown(late):
        pass

    def test_after():
        pass
"""
INI = """
    [pytest]
    mem_alert =
        # no worker needs more
        worker rss = {} warning, {} critical
"""


def alerts(result) -> list[str]:
    """Return the lines of the section about alerts."""
    lines = result.stdout.lines
    start = next((n for n, line in enumerate(lines) if "= memory alerts =" in line), None)
    if start is None:
        return []
    end = next(n for n in range(start + 1, len(lines)) if lines[n].startswith("="))
    return lines[start + 1 : end]


@pytest.fixture
def ini(pytester):
    """Write the config file with two sizes."""

    def ini(warning: str, critical: str) -> None:
        pytester.makeini(INI.format(warning, critical))

    return ini


@pytest.mark.parametrize("flags", [(), ("-v", "--mem"), ("--mem-budget=1GB",)], ids=str)
def test_reported_at_once(run, ini, flags) -> None:
    """A level is reported behind the test that reaches it, and again at the end."""
    ini("200MB", "350MB")
    result = run(SUITE, *flags)
    result.assert_outcomes(passed=4)
    told = [line for line in result.stdout.lines if line.startswith("memguard: ")]
    first, second = (line for line in told if " reached " in line)
    assert first.startswith("memguard: warning: pytest reached ")
    assert first.endswith("(level 200.0 MiB) in test_it.py::test_call")
    assert second.startswith("memguard: critical: ")
    assert second.endswith("in the teardown of test_it.py::test_teardown")
    assert [f"memguard: {line}" for line in alerts(result)] == [second, first]
    where = result.stdout.lines.index(first)
    assert not any("test_after PASSED" in line for line in result.stdout.lines[:where])
    levels = "200.0 MiB (warning), 350.0 MiB (critical)"
    assert any(
        line.startswith(f"memguard: alerts when worker rss reaches {levels}") for line in told
    )


def test_workers(run, ini, pytester) -> None:
    """Each worker reports its own, and JSON has all."""
    ini("200MB", "10GB")
    result = run(SUITE, "-n1", "--mem-json=out.json", plugins=XDIST)
    result.assert_outcomes(passed=4)
    (line,) = alerts(result)
    assert line.startswith("warning: gw0 reached ")
    data = json.loads((pytester.path / "out.json").read_text(encoding="utf-8"))
    jsonschema.validate(data, json.loads(SCHEMA.read_text(encoding="utf-8")))
    (alert,) = data["alerts"]
    assert (alert["worker"], alert["test"]) == ("gw0", "test_it.py::test_call")


def test_isolated(run, ini) -> None:
    """A test in a process of its own is reported, too; each is a process that runs tests."""
    ini("150MB", "10GB")
    result = run(SUITE, "--mem-isolate")
    result.assert_outcomes(passed=4)
    assert sorted(line.rpartition(":")[2] for line in alerts(result)) == [
        "test_call",
        "test_teardown",
    ]


MANY = """
    import subprocess, threading, time, os

    KEPT = []

    def test_fds():
        KEPT.extend(open(os.devnull) for _ in range(60))

    def test_threads():
        end = threading.Event()
        threads = [threading.Thread(target=end.wait) for _ in range(12)]
        KEPT.append(threads)
        KEPT.append(end)
        for thread in threads:
            thread.start()

    def test_children():
        KEPT.extend(subprocess.Popen(["sleep", "60"]) for _ in range(3))

    def test_uss():
        KEPT.append(bytearray(b"x") * (150 << 20))

    def test_end():
        for one in KEPT:
            if isinstance(one, subprocess.Popen):
                one.kill()
                one.wait()
            elif isinstance(one, threading.Event):
                one.set()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="nothing else lists children")
def test_other_signals(run, pytester) -> None:
    """Open files, threads, children and pages of its own have levels as well."""
    pytester.makeini(
        "[pytest]\nmem_alert =\n worker fds = 60 warning, 10000 critical\n"
        " worker threads = 10 critical\n worker children = 3 info\n worker uss = 150MB info\n"
    )
    result = run(MANY, "--mem-json=out.json")
    result.assert_outcomes(passed=5)
    told = {line.rpartition(":")[2]: line for line in alerts(result)}
    assert {"test_fds", "test_threads", "test_children", "test_uss"} == set(told)
    assert " open files (level 60 open files) in " in told["test_fds"]
    assert told["test_threads"].startswith("critical: pytest reached 1")
    assert "reached 3 child processes (level 3 child processes)" in told["test_children"]
    assert " MiB of its own (USS) (level 150.0 MiB) in " in told["test_uss"]
    data = json.loads((pytester.path / "out.json").read_text(encoding="utf-8"))
    jsonschema.validate(data, json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert {"bytes", "open files", "threads", "child processes"} == {
        alert["unit"] for alert in data["alerts"]
    }


RISING = """
    import time

    def test_small():
        pass

    def test_large():
        rows = bytearray(b"x") * (300 << 20)
        time.sleep(1)
"""


@pytest.mark.parametrize(
    ("flags", "end"),
    [
        ((), " in test_it.py::test_large"),
        (("-n2",), " and most of it was that of test_it.py::test_large in gw"),
    ],
    ids=["alone", "workers"],
)
def test_the_whole_run(run, pytester, flags, end) -> None:
    """The sum of all processes has levels, and the test is named that had most."""
    pytester.makeini("[pytest]\nmem_alert = run rss = 300MB warning, 100GB critical\n")
    result = run(RISING, *flags, plugins=XDIST)
    result.assert_outcomes(passed=2)
    (line,) = alerts(result)
    assert line.startswith("warning: the run reached 3")
    assert end in line
    result.stdout.fnmatch_lines([f"memguard: {line}", "*= memory alerts =*"])


def test_before_the_first_test(run, ini) -> None:
    """What was there before the first test is not that test's."""
    ini("1MB", "10GB")
    result = run("def test_it(): pass", "-n1", plugins=XDIST)
    (line,) = alerts(result)
    assert line.endswith("before the first test")


def test_none(run, ini) -> None:
    """A run that reaches no level reports none."""
    ini("10GB", "20GB")
    result = run("def test_it(): assert 0")
    result.assert_outcomes(failed=1)
    assert alerts(result) == []


def test_bad_line(run, pytester) -> None:
    """A line that makes no sense is a usage error."""
    pytester.makeini("[pytest]\nmem_alert = worker rss 1GB warning\n")
    result = run("def test_it(): pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*memguard: mem_alert in tox.ini: 'worker rss 1GB warning' is*"]
    )


def test_annotations(run, ini, monkeypatch) -> None:
    """On GitHub Actions an alert is an annotation, although no option asks for anything."""
    ini("1MB", "10GB")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    result = run("def test_it(): pass")
    result.stdout.fnmatch_lines(["::warning title=memory-alert*"])
