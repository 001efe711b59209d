"""Workers that are really killed: the report names the test that drove the memory."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from pathlib import Path

import jsonschema
import pytest

from pytest_memguard.cli import main

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="endings are seen on Linux")
SCHEMA = Path(__file__).parents[2] / "docs/mem-json.schema.json"
XDIST = ["xdist.plugin"]
SUITE = """
    import ctypes, os, signal, time

    MIB = 1 << 20
    KEPT = []

    def block(mib):
        return bytearray(b"x") * (mib * MIB)

    def test_small():
        pass

    def test_cache():
        KEPT.append(block(60))

    def test_between():
        KEPT.append(block(3))

    def test_victim():
        needed = block(24)
        {die}

    def test_after():
        pass
"""
KILL = "os.kill(os.getpid(), signal.SIGKILL)"
LIMIT = (
    "import resource; resource.setrlimit(resource.RLIMIT_DATA, (1 << 29, 1 << 29)); "
    "c = ctypes.CDLL(None); c.malloc.restype = ctypes.c_void_p; c.malloc(1 << 30) or c.abort()"
)
RAISED = r"test_it\.py::test_cache had raised it by (59|6\d)\.\d MiB for good"
# Kills the worker as soon as it is larger than it may be; it must not keep its pipes open.
WATCHER = """
    import os, signal, time

    def resident(pid):
        with open(f"/proc/{pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    def pytest_collection_finish(session):
        if not hasattr(session.config, "workerinput"):
            return
        limit, worker = resident(os.getpid()) + (120 << 20), os.getpid()
        if os.fork() == 0:
            os.closerange(0, 2000)
            try:
                while resident(worker) < limit:
                    time.sleep(0.001)
                os.kill(worker, signal.SIGKILL)
            finally:
                os._exit(0)
"""


@pytest.fixture(autouse=True)
def temporary(pytester, monkeypatch) -> Path:
    """A folder for temporary files of the test's own, where no record of ours is left."""
    path = pytester.mkdir("temporary")
    monkeypatch.setenv("TMPDIR", str(path))
    return path


def lost(result) -> list[str]:
    """The lines of the section about lost workers."""
    lines = result.stdout.lines
    start = next((n for n, line in enumerate(lines) if "= lost workers =" in line), None)
    if start is None:
        return []
    end = next(n for n, line in enumerate(lines) if n > start and line.startswith("="))
    return lines[start + 1 : end]


def folder(pytester) -> Path:
    """Where flight records are."""
    return pytester.path / ".pytest_cache" / "memguard-flight"


@pytest.mark.parametrize(
    ("die", "first"),
    [
        pytest.param(KILL, r"gw0 was killed by SIGKILL \(no out-of-memory kills", id="kill"),
        pytest.param(LIMIT, r"gw0 crashed \(SIGABRT\)", id="limit-in-c"),
        pytest.param("os._exit(3)", "gw0 ended itself with exit code 3", id="exit"),
        pytest.param("ctypes.string_at(0)", r"gw0 crashed \(SIGSEGV\)", id="segfault"),
        pytest.param(
            "os.kill(os.getpid(), signal.SIGTERM); time.sleep(9)",
            "gw0 was ended by SIGTERM",
            id="term",
        ),
    ],
)
def test_names_the_test_that_raised_the_level(run, pytester, die, first) -> None:
    """Cause, running test and the tests that had raised the level are those of the worker."""
    result = run(SUITE.format(die=die), "-n1", plugins=XDIST, cache=True)
    result.assert_outcomes(passed=4, failed=1)
    text = "\n".join(lost(result))
    assert re.match(first, text)
    assert re.search(
        r"running +test_it.py::test_victim, for 0.\d s\n +from .* \(\+2\d.\d MiB\)", text
    )
    assert re.search(r"raised for good +\+6\d.\d MiB  test_it.py::test_cache\n", text)
    assert ("driven by test_it.py::test_cache, an earlier test\n" in text) == (
        die in {KILL, LIMIT}
    )
    assert "worker 'gw0' crashed while running 'test_it.py::test_victim'" in result.stdout.str()
    assert re.search(rf"memguard: {first}", result.stdout.str())
    assert [path.name for path in folder(pytester).glob("*/*.flight")] == ["gw0.flight"]


@pytest.mark.parametrize(
    ("source", "driver"),
    [
        pytest.param(
            """
            def test_first():
                bytearray(b"x") * (20 << 20)

            def test_large():
                rows = []
                while True:
                    rows.append(bytearray(b"x") * (1 << 20))
            """,
            "test_it.py::test_large, which was running it needed 1",
            id="running",
        ),
        pytest.param(
            """
            KEPT = []

            def test_cache():
                KEPT.append(bytearray(b"x") * (80 << 20))

            def test_innocent():
                bytearray(b"x") * (60 << 20)
            """,
            r"test_it\.py::test_cache, an earlier test it raised the level by (79|8\d)\.",
            id="earlier",
        ),
        pytest.param(
            """
            import pytest

            KEPT = []

            @pytest.mark.parametrize("n", range(30))
            def test_some(n):
                KEPT.append(bytearray(b"x") * (6 << 20))
            """,
            "many tests together they raised the level by 1",
            id="several",
        ),
    ],
)
def test_a_limit(run, pytester, source, driver) -> None:
    """A worker that is killed at a limit was driven there by the test that is named."""
    pytester.makeconftest(WATCHER)
    result = run(source, "-n1", "--max-worker-restart=0", plugins=XDIST)
    assert re.search(f"driven by {driver}", " ".join(" ".join(lost(result)).split()))


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(("--dist=loadscope",), id="loadscope"),
        pytest.param(("--dist=worksteal",), id="worksteal"),
        pytest.param(("--maxfail=1",), id="maxfail"),
        pytest.param(("--max-worker-restart=0",), id="no-restart"),
        pytest.param(("-x", "--mem-budget=500"), id="budget"),
    ],
)
def test_however_tests_are_distributed(run, flags) -> None:
    """The report is there whatever xdist does about the loss."""
    result = run(SUITE.format(die=KILL), "-n1", *flags, plugins=XDIST)
    lines = lost(result)
    assert lines[0].startswith("gw0 was killed by SIGKILL")
    assert "driven by test_it.py::test_cache" in lines[1]
    assert "test_it.py::test_victim" in lines[3]


def test_another_worker(run) -> None:
    """The test of another worker is named if that was the one that needed the memory."""
    source = """
        import os, pathlib, signal, time

        def wait_for(name):
            while not pathlib.Path(name).exists():
                time.sleep(0.005)

        def test_large():
            needed = bytearray(b"x") * (70 << 20)
            pathlib.Path("large").touch()
            wait_for("killed")
            time.sleep(0.3)

        def test_victim():
            wait_for("large")
            pathlib.Path("killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
    """
    result = run(source, "-n2", "--max-worker-restart=0", plugins=XDIST)
    text = "\n".join(lost(result))
    assert "driven by test_it.py::test_large, in another worker\n" in text
    assert re.search(r"other workers +gw\d .* MiB, running test_it.py::test_large \(\+7", text)


def test_the_kernel(run, pytester) -> None:
    """A kill that the control group counts is the kernel's; each counts for one worker."""
    counter = pytester.path / "memory.oom_control"
    counter.write_text("oom_kill 4\n")
    pytester.makeconftest(
        f"""
        from pathlib import Path
        from pytest_memguard.plugin.lost import flight_control, lost_nodes
        from pytest_memguard.probes.oom_kills import OomCounter

        def read():
            kills = int(Path({str(counter)!r}).read_text().split()[1])
            return OomCounter(kills=kills, source="a test")

        flight_control.read_oom_counter = lost_nodes.read_oom_counter = read
        """
    )
    source = """
        import os, pathlib, signal

        def test_one():
            pathlib.Path("memory.oom_control").write_text("oom_kill 5")
            os.kill(os.getpid(), signal.SIGKILL)

        def test_two():
            os.kill(os.getpid(), signal.SIGKILL)
    """
    text = "\n".join(lost(run(source, "-n1", plugins=XDIST)))
    kills = "out of memory (SIGKILL; 1 out-of-memory kill, a test)"
    assert f"gw0 was killed by the kernel, {kills}" in text
    assert "gw1 was killed by SIGKILL (no out-of-memory kills, a test)" in text


def test_nothing_is_left_if_all_went_well(run, pytester) -> None:
    """Records are gone after a run, and reports are those of a run without any."""
    pytester.makeconftest(
        """
        import pathlib

        def pytest_runtest_call(item):
            assert len(list(pathlib.Path().glob(".pytest_cache/memguard-flight/*/gw*"))) > 0
        """
    )
    result = run("def test_1(): pass\ndef test_2(): pass", "-n2", plugins=XDIST, cache=True)
    result.assert_outcomes(passed=2)
    assert lost(result) == []
    assert not folder(pytester).exists()
    names = {path.name for path in (pytester.path / ".pytest_cache").iterdir()}
    assert (
        {".gitignore", "CACHEDIR.TAG"}
        <= names
        <= {".gitignore", "CACHEDIR.TAG", "README.md", "v"}
    )


@pytest.mark.parametrize("flags", [("--no-mem",), ("--mem-flight-record=off",)])
def test_switched_off(run, pytester, flags) -> None:
    """Without a record, the report of a lost worker is xdist's alone."""
    result = run(SUITE.format(die=KILL), "-n1", *flags, plugins=XDIST, cache=True)
    result.assert_outcomes(passed=4, failed=1)
    assert lost(result) == []
    assert "memguard:" not in result.stdout.str()
    assert not folder(pytester).exists()


def test_without_a_cache(run, pytester, temporary, monkeypatch) -> None:
    """Without pytest's cache, records are kept among temporary files."""
    result = run(SUITE.format(die=KILL), "-n1", plugins=XDIST)
    record = next(line for line in lost(result) if line.startswith("  record"))
    assert "/temporary/memguard-flight-" in record
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    assert main(["postmortem"]) == 1
    assert not (pytester.path / ".pytest_cache").exists()


def test_files(run) -> None:
    """JSON and Markdown files have lost workers, and memguard shows them again."""
    run(
        SUITE.format(die=KILL),
        *("-n1", "--mem-json=out.json", "--mem-markdown=out.md", "--junitxml=out.xml"),
        plugins=XDIST,
        cache=True,
    )
    data = json.loads(Path("out.json").read_text())
    jsonschema.validate(data, json.loads(SCHEMA.read_text()))
    (entry,) = data["lost_workers"]
    assert (entry["worker"], entry["cause"], entry["driver"]) == ("gw0", "killed", "earlier")
    assert "test_it.py::test_cache" == entry["driver_test"] == entry["raised"][0]["test"]
    assert "1 lost worker\n" in Path("out.md").read_text()
    assert "- memory driven by test_it.py::test_cache, an earlier" in Path("out.md").read_text()
    assert "memguard: memory" in Path("out.xml").read_text()


def test_report_again(run, pytester, capsys) -> None:
    """`memguard postmortem` shows what was printed, until its record is removed."""
    result = run(SUITE.format(die=KILL), "-n1", plugins=XDIST, cache=True)
    capsys.readouterr()
    assert main(["postmortem"]) == 1
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("pytest ")
    assert lost(result) == rest
    assert main(["postmortem", "--clear"]) == 1
    assert main(["postmortem"]) == 0
    assert "no run was lost" in capsys.readouterr().out.splitlines()[-1]
    assert not folder(pytester).exists()


@pytest.mark.parametrize(
    ("die", "flags", "names"),
    [
        pytest.param(KILL, ("--mem-flight-record",), ["main.flight"], id="alone"),
        pytest.param(
            "os._exit(7)", ("-o", "mem_flight_record=true"), ["main.flight"], id="ini"
        ),
        pytest.param(
            "os.kill(os.getppid(), signal.SIGKILL); os.kill(os.getpid(), signal.SIGKILL)",
            ("-n1",),
            ["gw0.flight"],
            id="whole-run",
        ),
    ],
)
def test_the_whole_run(run, pytester, capsys, die, flags, names) -> None:
    """The next run says once that one was lost, and `memguard postmortem` says it again."""
    run(SUITE.format(die=die), *flags, plugins=XDIST, cache=True)
    assert names == [path.name for path in folder(pytester).glob("*/*.flight")]
    told, again = (run("def test_it(): pass", cache=True) for _ in range(2))
    text = told.stdout.str()
    assert "was lost at 20" in text
    assert "memory: not known: what test_it.py::test_victim used was not seen" in text
    assert re.search(RAISED, text)
    assert "was lost" not in again.stdout.str()
    assert main(["postmortem"]) == 1
    assert re.search(r"\+6\d.\d MiB  test_it.py::test_cache\n", capsys.readouterr().out)


def test_told_in_a_quiet_run(run) -> None:
    """A run without a header says it at its end."""
    run("def test_it(): import os; os._exit(1)", "--mem-flight-record", cache=True)
    quiet = run("def test_it(): pass", "-q", cache=True)
    quiet.stdout.fnmatch_lines(["*= an earlier run =*", "memguard: pytest * was lost at *"])


def test_a_run_that_lasts_is_not_lost(run, pytester) -> None:
    """Another run in the same project leaves the records of one that has not ended alone."""
    source = """
        import pathlib, subprocess, sys

        def test_it(pytestconfig):
            if pytestconfig.getoption("memguard_flight_record"):
                flags = ["-p", "pytest_memguard.plugin.hooks", "test_it.py"]
                done = subprocess.run(
                    [sys.executable, "-m", "pytest", *flags], capture_output=True, text=True
                )
                assert "1 passed" in done.stdout
                assert "memguard" not in done.stdout.replace("plugins: memguard", "")
                assert list(pathlib.Path().glob(".pytest_cache/memguard-flight/*/main.flight"))
    """
    run(source, "--mem-flight-record", cache=True).assert_outcomes(passed=1)
    assert not folder(pytester).exists()


def test_unreadable_records(run, pytester) -> None:
    """A record that is no record is named, and kept although nothing else is."""
    run("def test_it(): import os; os._exit(1)", "--mem-flight-record", cache=True)
    (record,) = folder(pytester).glob("*/main.flight")
    record.write_bytes(b"\x00\xff" * 50)
    result = run("def test_it(): pass", cache=True)
    assert f"{record} cannot be read: it is no flight record" in result.stdout.str()
    assert record.exists()


def test_annotations(run, monkeypatch) -> None:
    """On GitHub, a lost worker is an annotation although no option asks for anything."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    result = run(SUITE.format(die=KILL), "-n1", plugins=XDIST)
    result.stdout.fnmatch_lines(["::error *file=test_it.py,*::gw0 was killed by SIGKILL*"])
    assert "### Lost workers" in Path("summary.md").read_text()


def test_while_nothing_runs(run, pytester) -> None:
    """A worker that is lost before its first test is reported as such."""
    pytester.makeconftest(
        """
        import os, pathlib
        import pytest

        @pytest.hookimpl(tryfirst=True)
        def pytest_runtest_protocol(item):  # earlier, pytest-xdist may have sent it no test
            if hasattr(item.config, "workerinput") and not pathlib.Path("once").exists():
                pathlib.Path("once").touch()
                os.kill(os.getpid(), 9)
        """
    )
    result = run("def test_it(): pass", "-n1", plugins=XDIST)
    result.assert_outcomes(failed=1)
    assert any("no test yet, at " in line for line in lost(result))


def test_no_place_for_a_record(run) -> None:
    """Where no record can be written, what is known without one is reported, and why."""
    Path("file").touch()
    alone = run("def test_it(): pass", "--mem-flight-record", "-ocache_dir=file", cache=True)
    reason = "cannot be written (Not a directory)"
    alone.stdout.fnmatch_lines([f"memguard: no flight record: *file/memguard-flight {reason}"])
    alone.assert_outcomes(passed=1)
    result = run(SUITE.format(die=KILL), "-n1", "-ocache_dir=file", plugins=XDIST, cache=True)
    first, second = lost(result)[0], lost(result)[-1]
    assert first.startswith("gw0 was killed by SIGKILL")
    assert "not known        its flight record: " in second
    assert second.endswith(reason)


def test_the_record_is_gone(run) -> None:
    """A record that a test removes is missed in the report, and nothing else is."""
    die = f"import shutil; shutil.rmtree('.pytest_cache/memguard-flight'); {KILL}"
    result = run(SUITE.format(die=die), "-n1", plugins=XDIST, cache=True)
    result.assert_outcomes(passed=4, failed=1)
    text = "\n".join(lost(result))
    assert "its flight record: the worker wrote none to " in text
    assert "memory           not known: there is no flight record\n" in text
    assert "running          test_it.py::test_victim, as pytest-xdist says\n" in text


def test_the_same_loss_again(run) -> None:
    """A test that xdist runs again after each loss is explained once; each loss is named."""
    flags = ("-n1", "--dist=loadfile", "--max-worker-restart=1")
    lines = lost(run("def test_it(): import os; os._exit(3)", *flags, plugins=XDIST))
    heads = [line for line in lines if line.startswith("gw")]
    assert len(heads) == 2
    assert sum("  raised for good" in line for line in lines) == 1


def test_where_the_system_does_not_tell(run, pytester) -> None:
    """Where the size of a dead process is not known, no test is blamed, and that is said."""
    pytester.makeconftest(
        """
        from pytest_memguard.model.flights import Ending
        from pytest_memguard.plugin.lost import lost_nodes

        lost_nodes.ending_of = lambda pid, patience: Ending(signal=9)
        """
    )
    text = "\n".join(lost(run(SUITE.format(die=KILL), "-n1", plugins=XDIST)))
    assert "not known: what test_it.py::test_victim used was not seen" in text
    assert re.search(RAISED, text)
    assert "not known        how large it was at its end: not known on this system" in text
