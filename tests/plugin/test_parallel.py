"""Runs whose tests wait until there is memory for them, with workers that are really killed."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from pytest_memguard.cli import main
from pytest_memguard.model.admission import Need
from pytest_memguard.probes.tree_linux import LinuxTree
from pytest_memguard.recording.token_file import TokenFile
from pytest_memguard.recording.tokens import Tokens
from pytest_memguard.sizes import MIB

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/smaps_rollup").exists(), reason="the sum of processes is read there"
)
SCHEMA = Path(__file__).parents[2] / "docs/mem-json.schema.json"
XDIST = ["xdist.plugin"]
SUITE = """
    import time

    import pytest

    @pytest.mark.parametrize("number", range({tests}))
    def test_large(number):
        block = bytearray(b"x") * ({mib} << 20)
        time.sleep({seconds})
"""


@pytest.fixture
def shared(monkeypatch, pytester) -> Path:
    """The file with the shares of all runs, where no other test of this suite has one."""
    folder = pytester.mkdir("temporary")
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder / f"memguard-parallel-{os.getuid()}" / "tokens"


@contextmanager
def limit(size: int):
    """Kill the largest process when those of a run below this process have more.

    Args:
        size: bytes.
    """
    done, killed = threading.Event(), []
    tree = LinuxTree(os.getpid())
    tree.sample(exact=False)
    others = {process.pid for process in tree.living}

    def watch() -> None:
        while not done.wait(0.01):
            tree.sample(exact=False)
            mine = [process for process in tree.living if process.pid not in others]
            if sum(process.anonymous for process in mine) > size:
                os.kill(max(mine, key=lambda p: p.anonymous).pid, signal.SIGKILL)
                killed.append(len(mine))
        tree.close()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield killed
    finally:
        done.set()
        thread.join()


def lines(result) -> str:
    """What the run says at its end about memory that tests share."""
    found = result.stdout.str().partition("\nparallel: ")[2]
    return " ".join(line.strip() for line in found.splitlines() if line.startswith("  "))


def test_dies_without_and_passes_with(run, monkeypatch) -> None:
    """Tests that do not fit all at once get workers killed, unless they wait for each other."""
    source = """
        import glob, os, time

        import pytest

        @pytest.mark.parametrize("number", range(4))
        def test_large(number):
            block = bytearray(b"x") * (80 << 20)
            open(f"has-{number}", "w").close()
            end = time.monotonic() + 20
            while len(glob.glob("has-*")) < int(os.environ["TOGETHER"]):
                assert time.monotonic() < end
                time.sleep(0.01)
            time.sleep(0.4)
    """
    monkeypatch.setenv("TOGETHER", "3")
    ways = {"plugins": XDIST, "subprocess": True}
    with limit(300 * MIB) as killed:
        result = run(source, "-n3", "--max-worker-restart=0", **ways)
    assert killed
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    monkeypatch.setenv("TOGETHER", "1")
    with limit(300 * MIB) as killed:
        result = run(source, "-n3", "--mem-parallel=290", **ways)
    assert not killed
    result.assert_outcomes(passed=4)
    assert re.match(
        r"waited +\d tests, \d+.\d s in all; longest \d.\d s in gw\d:", lines(result)
    )


def test_killed_test_runs_again(run) -> None:
    """A test that was killed although tests wait runs once more, alone, and passes."""
    source = """
        import os, pytest, signal

        @pytest.mark.mem_needs("60 MB")
        def test_it():
            block = bytearray(b"x") * (60 << 20)
            if not os.path.exists("once"):
                open("once", "w").close()
                os.kill(os.getpid(), signal.SIGKILL)
    """
    result = run(source, "-n1", "--mem-parallel=300", plugins=XDIST)
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=1)
    assert "1 rerun" in result.stdout.str()


@pytest.mark.parametrize("mode", ["loadgroup", "worksteal", "each"])
def test_distributions(run, mode) -> None:
    """Every distribution works, also where every worker runs every test."""
    source = SUITE.format(tests=3, mib=20, seconds=0)
    result = run(source, "-n2", f"--dist={mode}", "--mem-parallel=100", plugins=XDIST)
    result.assert_outcomes(passed=6 if mode == "each" else 3)
    assert re.search(r"needs +\d+.\d MiB at most, beside \d+.\d MiB that", lines(result))


def test_waits_for_another_run(run, shared, pytester, monkeypatch) -> None:
    """A test waits for what another run of the same user has; the report says for how long."""
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    other = Tokens(TokenFile(shared), 1, 100 * MIB, lambda: 0, os.getpid())
    other.ask(Need(size=90 * MIB, source="the marker"), 0, lambda *_: None)

    def give_back() -> None:
        end = time.monotonic() + 30
        while not any(share.wanted for share in other.look()) and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(1.2)
        other.give_back()

    thread = threading.Thread(target=give_back)
    thread.start()
    source = """
        import pytest

        @pytest.mark.mem_needs("60 MB")
        def test_it():
            block = bytearray(b"x") * (60 << 20)
    """
    flags = ("-v", "--mem-json=out.json", "--mem-markdown=out.md", "--junitxml=out.xml")
    result = run(source, "--mem-parallel=140MB", *flags)
    thread.join()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "memguard: waits for 60.0 MiB: test_it.py::test_it * 90.0 MiB by other runs)",
            "*test_it.py::test_it PASSED (waited 1.* s)*",
        ]
    )
    text = lines(result)
    assert re.match(
        r"waited +1 test, 1.\d s in all; longest 1.\d s: test_it.py::test_it for 60.0 M",
        text,
    )
    assert "elsewhere 90.0 MiB at most in other runs, while tests waited" in text
    assert "real sum  not measured: this run has no workers" in text
    data = json.loads((pytester.path / "out.json").read_text(encoding="utf-8"))
    jsonschema.validate(data, json.loads(SCHEMA.read_text(encoding="utf-8")))
    [waited] = data["parallel"]["waited"]
    assert (waited["nodeid"], waited["need_bytes"]) == ("test_it.py::test_it", 60 * MIB)
    assert "  waited    1 test, 1." in (pytester.path / "out.md").read_text(encoding="utf-8")
    properties = {
        node.get("name"): node.get("value")
        for node in ET.parse(pytester.path / "out.xml").iter("property")  # noqa: S314  ours
    }
    assert properties["memguard_need_bytes"] == str(60 * MIB)
    assert float(properties["memguard_waited_seconds"]) > 1


def test_stored_report(run, pytester, capsys) -> None:
    """The stored run says the same."""
    run("def test_it(): pass", "--mem-parallel=90", "--mem-json=out.json")
    main(["report", str(pytester.path / "out.json")])
    assert "\n  waited    no test\n  needs     " in capsys.readouterr().out


def test_killed_worker_gives_back(run) -> None:
    """What a killed worker had is free: the tests after it do not wait for it."""
    source = """
        import os, signal, pytest

        pytestmark = pytest.mark.mem_needs("80 MB")

        def test_dies():
            os.kill(os.getpid(), signal.SIGKILL)

        def test_after():
            block = bytearray(b"x") * (80 << 20)
    """
    result = run(source, "-n1", "--mem-parallel=100", plugins=XDIST)
    result.assert_outcomes(passed=1, failed=1)


def test_unknown_tests_and_what_exceeds_the_median(run) -> None:
    """The first test runs alone, others count as the median; far larger ones are named."""
    source = """
        def test_small_1(): pass
        def test_small_2(): pass
        def test_large(): bytearray(b"x") * (60 << 20)
    """
    result = run(source, "--mem-parallel")
    text = lines(result)
    result.stdout.fnmatch_lines(
        ["memguard: parallel: no need is recorded: the first test without one runs alone"]
    )
    assert re.search(
        r"exceeded +1 test used far more than counted: test_it.py::test_large (59|60).\d MiB "
        r"instead of .*, the median of this run try +declare what",
        text,
    )


@pytest.mark.parametrize("source", ["baseline", "history"])
def test_recorded_needs(run, source) -> None:
    """What is recorded of tests is what they are counted with."""
    suite = SUITE.format(tests=2, mib=40, seconds=0)
    flag = "--mem-save" if source == "baseline" else "--mem-history"
    run(suite, flag, "--mem-confirm=0" if source == "baseline" else "--mem")
    flags = () if source == "baseline" else (flag,)
    result = run(None, "--mem-parallel=900", "-n2", *flags, plugins=XDIST)
    text = lines(result)
    result.stdout.fnmatch_lines([f"memguard: parallel: needs: 2 tests by the {source}"])
    assert re.search(r"needs +(39|40|7\d|80).\d MiB at most, beside", text)
    assert re.search(r"real sum +\d+.\d MiB at most \(PSS\)", text)


CHILD = """
    import subprocess, sys, time
    import pytest

    CODE = "x = bytearray(b'x') * (60 << 20); import time; time.sleep(0.3)"

    {marker}
    def test_starts_a_child():
        subprocess.run([sys.executable, "-c", CODE], check=True)
"""


@pytest.mark.parametrize("source", ["baseline", "history"])
def test_recorded_children(run, source) -> None:
    """What children use is counted where it is recorded: by a budget, or in the history."""
    suite = CHILD.format(
        marker='@pytest.mark.mem_budget("500 MB", metric="tree")'
        if source == "baseline"
        else ""
    )
    flag = "--mem-save" if source == "baseline" else "--mem-history=h.db"
    run(suite, flag, "--mem", "--mem-confirm=0")
    flags = () if source == "baseline" else (flag,)
    result = run(None, "--mem-parallel=900", *flags)
    result.stdout.fnmatch_lines([f"memguard: parallel: needs: 1 test by the {source}"])
    assert re.search(r"needs +(6|7)\d.\d MiB at most, beside", lines(result))
    if source == "history":
        with sqlite3.connect("h.db") as database:
            rows = database.execute(
                "SELECT children_bytes, need_bytes, waited_seconds FROM memguard_readings"
                " ORDER BY run_id"
            ).fetchall()
        database.close()
        (children, *nothing), (_, need, waited) = rows
        assert children >= 60 << 20
        assert nothing == [None, None]
        assert need >= children
        assert waited == 0


def test_damaged_baseline(run, pytester) -> None:
    """A baseline that cannot be read is named, and does not stop the run."""
    (pytester.path / ".memguard").mkdir()
    (pytester.path / ".memguard/baseline.json").write_text("{", encoding="utf-8")
    result = run("def test_it(): pass", "--mem-parallel")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*not measured here: what tests need: it cannot be read: *"])


def test_heavy_first(run) -> None:
    """Tests that need most come first, in both workers; the others keep their order."""
    source = """
        import pytest

        def test_a(): pass

        @pytest.mark.mem_needs("40 MB")
        def test_b(): bytearray(b"x") * (40 << 20)

        @pytest.mark.mem_budget(90)
        def test_c(): pass

        @pytest.mark.mem_budget(10)
        def test_d(): pass
    """
    result = run(source, "-v", "--mem-parallel=200", "--mem-parallel-order=heavy")
    order = re.findall(r"::test_(.) PASSED", result.stdout.str())
    assert order == ["c", "b", "a", "d"]
    result = run(None, "-n2", "--mem-parallel=200", "--mem-parallel-order=heavy", plugins=XDIST)
    result.assert_outcomes(passed=4)


NEEDS = """
    import subprocess, sys, unittest
    import pytest

    KEPT = []

    def use(mib):
        return bytearray(b"x") * (mib << 20)

    @pytest.mark.mem_needs("1000 TB")
    def test_huge():
        raise AssertionError

    @pytest.mark.mem_needs("40 MB")
    def test_right():
        use(40)

    @pytest.mark.mem_needs("40 MB")
    def test_too_small():
        use(90)

    @pytest.mark.mem_needs(size="90 MB")
    def test_too_large():
        use(20)

    @pytest.mark.mem_needs("90 MB")
    def test_child():
        subprocess.run([sys.executable, "-c", "b = bytearray(80 << 20)"], check=True)

    @pytest.mark.mem_needs("90 MB")
    def test_fails():
        raise ValueError

    @pytest.mark.mem_needs("90 MB")
    def test_skips():
        pytest.skip("not today")

    @pytest.mark.mem_needs("90 MB")
    class TestUnit(unittest.TestCase):
        def test_it(self):
            use(5)
"""


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param((), id="marker-alone"),
        pytest.param(("--mem-parallel=200", "-n2"), id="parallel"),
    ],
)
def test_declared_needs(run, flags) -> None:
    """A declaration that is off by half fails, and a test that the machine cannot run skips."""
    result = run(NEEDS, "-rs", *flags, plugins=XDIST)
    result.assert_outcomes(passed=2, failed=4, skipped=2)
    text = result.stdout.str()
    assert re.search(
        r"test_it.py:\d+: it needs 1024000.00 GiB, and (the machine|cgroup v\d) has \d+", text
    )
    declares = "mem_needs declares"
    assert re.search(declares + r" 40.0 MiB, and the test used (89|90).\d MiB \(wrong", text)
    assert re.search(declares + r" 90.0 MiB, and the test used 2\d.\d MiB at most \(w", text)
    assert len(re.findall(r"^mem_needs declares .* \(wrong-need\)$", text, re.MULTILINE)) == 3
    assert "test_child: mem_needs is not checked: it started child processes" in text


@pytest.mark.parametrize(
    ("marker", "problem"),
    [
        pytest.param("()", "mem_needs: it takes one size: mem_needs(size)", id="nothing"),
        pytest.param("(1, 2)", "mem_needs: it takes one size: mem_needs(size)", id="two"),
        pytest.param("(limit=1)", "mem_needs: it takes one size: mem_needs(size)", id="name"),
        pytest.param("('lots')", "mem_needs: 'lots' is not a size: write a number", id="text"),
        pytest.param("(0)", "mem_needs: 0 is no need: write a size above 0", id="zero"),
    ],
)
def test_bad_marker(run, marker, problem) -> None:
    """A marker that makes no sense is named before the first test."""
    result = run(f"import pytest\n@pytest.mark.mem_needs{marker}\ndef test_it(): pass\n")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"test_it.py:2: test_it.py::test_it: {problem}" in result.stderr.str()


def test_late_marker(run) -> None:
    """A marker that a test adds itself comes too late, and the report says so."""
    source = """
        import pytest

        @pytest.mark.mem_needs("40 MB")
        def test_early():
            bytearray(b"x") * (40 << 20)

        def test_it(request):
            request.node.add_marker(pytest.mark.mem_needs("40 MB"))
    """
    result = run(source)
    result.assert_outcomes(passed=2)
    assert "test_it.py::test_it: mem_needs is not checked: " in result.stdout.str()


@pytest.mark.parametrize(
    ("size", "peaks", "line"),
    [
        pytest.param("9 GB", True, "3 workers: 9.00 GiB free, ", id="cores"),
        pytest.param("260 MB", True, "2 workers instead of 3: 260.0 MiB free, ", id="memory"),
        pytest.param("1 MB", False, "1 worker instead of 3: 1.0 MiB free, ", id="least"),
    ],
)
def test_auto_workers(run, pytester, size, peaks, line) -> None:
    """With -n auto, as many workers start as fit, and one line says why."""
    pytester.makeconftest(
        "import pytest\n@pytest.hookimpl(tryfirst=True, optionalhook=True)\n"
        "def pytest_xdist_auto_num_workers(): return 3\n"
    )
    if peaks:
        run(SUITE.format(tests=3, mib=50, seconds=0), "--mem-save", "--mem-confirm=0")
    else:
        pytester.makepyfile(test_it="def test_it(): pass")
    result = run(None, "-nauto", f"--mem-parallel={size}", plugins=XDIST, cache=True)
    result.assert_outcomes(passed=3 if peaks else 1)
    text = result.stdout.str()
    assert f"memguard: {line}" in text
    assert "each (estimated)" in text
    assert ("peaks of tests are not known" in text) != peaks
    if size == "260 MB":
        result = run(None, "-nauto", f"--mem-parallel={size}", plugins=XDIST, cache=True)
        assert "each (recorded)" in result.stdout.str()


def test_unusable_file(run, shared, monkeypatch) -> None:
    """The run does not start if its tests could not share the memory."""
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    shared.mkdir(parents=True)
    result = run("def test_it(): pass", "--mem-parallel")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"memguard: --mem-parallel: {shared} cannot be used" in result.stderr.str()


def test_file_that_goes_away(run) -> None:
    """Where the file can no longer be used, tests go on, and the report says so."""
    source = """
        import os, pytest, tempfile

        @pytest.fixture(scope="session", autouse=True)
        def closed(pytestconfig):
            tests = pytestconfig.pluginmanager.get_plugin("memguard-parallel-tests")
            file = tests._tokens._file
            file._file.close()
            file.path.unlink()
            file.path.mkdir()

        @pytest.mark.mem_needs("40 MB")
        def test_it():
            bytearray(b"x") * (40 << 20)
    """
    result = run(source, "--mem-parallel=100")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["not measured here: whether there is memory for tests: *; tests of this process *"]
    )


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        pytest.param(("--mem-parallel=lots",), "'lots' is not a size", id="size"),
        pytest.param(
            ("--mem-parallel-order=heavy",),
            "--mem-parallel-order: it does nothing without --mem-parallel",
            id="order-alone",
        ),
        pytest.param(
            ("--mem-parallel", "--mem-parallel-order=light"),
            "'light' is not one of collected, heavy",
            id="order",
        ),
    ],
)
def test_bad_options(run, flags, problem) -> None:
    """Options that make no sense are named before the first test."""
    result = run("def test_it(): pass", *flags)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert problem in result.stderr.str()


def test_nothing_is_left(run, pytester) -> None:
    """A run within a test of another one shares with itself alone, and leaves nothing."""
    folder = pytester.mkdir("temporary")
    source = "def test_it(): pass"
    result = run(source, "--mem-parallel", f"--basetemp={pytester.path / 'base'}")
    result.stdout.fnmatch_lines(["memguard: parallel: * (--mem-parallel, within a test of *"])
    assert not list(folder.iterdir())
