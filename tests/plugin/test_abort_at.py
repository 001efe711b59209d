"""Runs that really use too much memory: they are stopped, and name the tests that had it."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from pytest_memguard.probes.memory_limit import MemoryLimit
from pytest_memguard.sizes import MIB

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
SCHEMA = Path(__file__).parents[2] / "docs/mem-json.schema.json"
XDIST = ["xdist.plugin"]
GROUPS = Path("/sys/fs/cgroup/memory")
HELP = """
    import os, subprocess, sys, time
    import pytest

    KEPT = []

    def eat(most=600):
        rows = []
        while len(rows) < most:
            rows.append(bytearray(b"x") * (1 << 20))
            time.sleep(0.0005)
        return rows
"""
SUITE = f"""
    {HELP}
    @pytest.fixture(scope="module")
    def server():
        yield
        open("torn-down", "w").close()

    def test_cache():
        KEPT.append(bytearray(b"x") * (100 << 20))

    def test_grow(server):
        try:
            eat()
        except Exception:
            pass

    def test_after():
        pass
"""


def section(result) -> list[str]:
    """Return the lines about the memory of the run."""
    lines = result.stdout.lines
    start = next((n for n, line in enumerate(lines) if "= memory of the run =" in line), None)
    if start is None:
        return []
    end = next(n for n in range(start + 1, len(lines)) if lines[n].startswith(("=", "!")))
    return lines[start + 1 : end]


def test_stopped(run, pytester) -> None:
    """The test that runs fails where it is, fixtures are torn down, and files are written."""
    flags = ("--mem-abort-at=300", "--mem-json=out.json", "--junitxml=out.xml", "-rA")
    result = run(SUITE, *flags)
    result.assert_outcomes(passed=1, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    reason = "the run was stopped: it used more than 300.0 MiB (--mem-abort-at)"
    result.stdout.fnmatch_lines(
        [
            "memguard: the run is stopped above 300.0 MiB (--mem-abort-at)",
            f"E           *MemoryAbort: {reason}",
            "test_it.py:*: *MemoryAbort",
            f"!*! memguard: {reason} !*!",
        ]
    )
    assert "abort_stop.py" not in result.stdout.str()
    first, grown, kept, *_ = section(result)
    assert first.startswith("the run was stopped: it used 3")
    assert grown.endswith("test_it.py::test_grow, running")
    assert kept.endswith("MiB  test_it.py::test_cache, kept for good")
    assert float(kept.split()[0]) == pytest.approx(100, abs=5)
    assert (pytester.path / "torn-down").exists()
    assert "MemoryAbort" in (pytester.path / "out.xml").read_text(encoding="utf-8")
    data = json.loads((pytester.path / "out.json").read_text(encoding="utf-8"))
    jsonschema.validate(data, json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert data["memory_abort"]["tests"][0]["test"] == "test_it.py::test_grow"
    assert [test["nodeid"] for test in data["tests"]] == ["test_it.py::test_cache"]


def test_the_sum_of_all_workers(run, pytester) -> None:
    """With workers their sum counts: none of them is above the size."""
    source = f"""
    {HELP}
    @pytest.mark.parametrize("n", [1, 2])
    def test_rows(n):
        rows = eat(200)
        time.sleep(40)
        open("went-on", "w").close()
    """
    result = run(source, "-n2", "--mem-abort-at=400MB", plugins=XDIST)
    result.assert_outcomes(failed=2)
    first, one, two, *_ = section(result)
    assert first.startswith("the run was stopped: it used 4")
    assert {"gw0", "gw1"} == {line.rpartition(" ")[2] for line in (one, two)}
    assert "lost workers" not in result.stdout.str()
    assert not (pytester.path / "went-on").exists()


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group that may use 250 MiB, where this user may make one."""
    path = GROUPS / f"memguard-test-{os.getpid()}"
    try:
        path.mkdir()
        (path / "memory.limit_in_bytes").write_text(str(250 * MIB), encoding="ascii")
    except OSError as error:
        pytest.skip(f"no control group can be made: {error}")
    yield path
    path.rmdir()


def test_a_real_limit(run, pytester, group) -> None:
    """Under a limit of the kernel, a run is stopped that would have been killed."""
    pytester.makeconftest(
        f"""
        import os

        with open("{group}/cgroup.procs", "w") as file:
            file.write(str(os.getpid()))
        """
    )
    source = f"""
    {HELP}
    def test_grow():
        eat(400)
    """
    killed = run(source, subprocess=True)
    assert killed.ret == -signal.SIGKILL
    stopped = run(source, "--mem-abort-at=auto", subprocess=True)
    stopped.assert_outcomes(failed=1)
    first, grown, *_ = section(stopped)
    assert "of 250.0 MiB (cgroup v1) were left" in first
    assert grown.endswith("test_it.py::test_grow, running")


def test_children_count(run) -> None:
    """What child processes use is that of the test that has started them."""
    source = f"""
    {HELP}
    def test_child():
        code = "x = bytearray(b'x') * (300 << 20); import time; time.sleep(20)"
        subprocess.run([sys.executable, "-c", code])
    """
    result = run(source, "--mem-abort-at=250")
    result.assert_outcomes(failed=1)
    assert "MiB of it in child processes" in section(result)[1]


def test_one_that_goes_on(run, pytester) -> None:
    """A test that catches the exception gets it again."""
    source = f"""
    {HELP}
    def test_stubborn():
        rows = []
        try:
            rows += eat(400)
            time.sleep(40)
        except BaseException:
            time.sleep(40)
        open("went-on", "w").close()
    """
    result = run(source, "--mem-abort-at=200")
    result.assert_outcomes(failed=1)
    assert not (pytester.path / "went-on").exists()


def test_doctest(run) -> None:
    """The traceback ends where the signal has arrived, for other kinds of tests, too."""
    source = f"""{HELP}
    def function():
        '''
        >>> len(eat(400))
        400
        '''
    """
    result = run(source, "--doctest-modules", "--mem-abort-at=200")
    result.assert_outcomes(failed=1)
    text = result.stdout.str()
    assert "abort_stop" not in text
    assert "pytest_runtestloop" not in text


def test_isolated(run) -> None:
    """A test in a process of its own fails, too."""
    result = run(SUITE, "--mem-isolate", "--mem-abort-at=300")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["FAILED test_it.py::test_grow - MemoryAbort: the run was *"])
    assert "test_grow, running, " in section(result)[1]


def test_during_collection(run) -> None:
    """A module that uses too much when it is imported stops the run, too."""
    result = run(f"{HELP}\n    eat(400)\n    time.sleep(20)\n", "--mem-abort-at=200")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "not known    the tests" not in "\n".join(section(result))
    assert section(result)[1].endswith("fixtures between tests")


def test_with_the_debugger(run) -> None:
    """The debugger does not keep a run from being stopped."""
    result = run(SUITE, "--mem-abort-at=300", "--pdb")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert section(result)[1].endswith("test_grow, running")
    assert "(Pdb)" not in result.stdout.str()


@pytest.mark.parametrize("flags", [("-n1",), ("-q",)], ids=str)
def test_below_it(run, flags) -> None:
    """A run that stays below ends as it would have, and leaves nothing behind."""
    source = "def test_1(): pass\ndef test_2(): assert 0"
    result = run(source, "--mem-abort-at=4 GiB", *flags, plugins=XDIST)
    result.assert_outcomes(passed=1, failed=1)
    header = "memguard: the run is stopped above 4.00 GiB (--mem-abort-at)"
    assert ("-q" in flags) == (header not in result.stdout.lines)
    assert section(result) == []


def test_no_longer_watched(run) -> None:
    """A test that closes the pipes to what watches is reported: the rest was not watched."""
    source = """
    import os

    def test_it():
        for number in range(3, 100):
            name = f"/proc/self/fd/{number}"
            if os.path.exists(name) or os.path.islink(name):
                if os.readlink(name).startswith("pipe:"):
                    os.close(number)
    """
    result = run(source, "--mem-abort-at=4GB", subprocess=True)
    (line,) = section(result)
    assert line.startswith("memguard: not measured here: --mem-abort-at: the process that")


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        pytest.param(
            (4096, 3000),
            "when less than 204.8 MiB of 4.00 GiB (g) are left: 2.93 GiB",
            id="room",
        ),
        pytest.param((4096, 100), "only 100.0 MiB of 4.00 GiB (g) are left at", id="no-room"),
        pytest.param(None, "no limit of a container or of the machine is known", id="no-limit"),
    ],
)
def test_auto(run, monkeypatch, limit, words) -> None:
    """The header says which limit counts, or why none does."""
    found = None
    if limit is not None:
        size, available = (number * MIB for number in limit)
        found = MemoryLimit(size=size, available=available, source="g", place="")
    monkeypatch.setattr("pytest_memguard.plugin.lost.abort_watch.tightest_limit", lambda: found)
    result = run("def test_it(): pass", "-omem_abort_at=auto", here=True)
    result.assert_outcomes(passed=1)
    (line,) = (line for line in result.stdout.lines if "mem_abort_at" in line and words in line)
    assert line.startswith("memguard: ")


def test_more_than_there_is(run) -> None:
    """A size above the limit is said to be one."""
    result = run("def test_it(): pass", "--mem-abort-at=100 TB")
    result.stdout.fnmatch_lines(["memguard: but there is less than that: *"])


def test_bad_size(run) -> None:
    """Something else is a usage error."""
    result = run("def test_it(): pass", "--mem-abort-at=much")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*memguard: --mem-abort-at: *'much'*; auto, or off"])


def test_annotation(run, monkeypatch) -> None:
    """On GitHub Actions the stop is an annotation at the test that had most."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    result = run(SUITE, "--mem-abort-at=300")
    lines = [line for line in result.stdout.lines if line.startswith("::error")]
    assert [line for line in lines if "title=memory-abort" in line and "test_grow" in line]


def test_one_that_does_not_hear_it(run) -> None:
    """Where nothing can stop a run, it is killed, and the next run names the tests."""
    source = f"""
    {HELP}
    import signal

    def test_deaf():
        signal.signal(signal.SIGURG, signal.SIG_IGN)
        rows = eat(300)
        time.sleep(20)
    """
    flags = ("--mem-abort-at=120", "-s")
    result = run(source, *flags, cache=True, subprocess=True)
    assert result.ret < 0
    assert "memguard: pytest was killed: it used more and more" in result.stderr.str()
    after = run("def test_it(): pass", cache=True)
    after.stdout.fnmatch_lines(["memguard: *was lost*", "*running: test_it.py::test_deaf"])
