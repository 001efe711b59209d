"""Isolation: tests run in processes of their own, and report as if they did not."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest

from pytest_memguard.forking.isolation import can_fork

pytestmark = pytest.mark.skipif(not can_fork(), reason="this platform has no fork")
SCHEMA = Path(__file__).parents[2] / "docs/mem-json.schema.json"
XDIST = ["xdist.plugin"]
KINDS = """
    import os, sys, unittest, warnings
    import pytest

    UP = []

    @pytest.fixture(scope="session")
    def wide():
        UP.append(os.getpid())
        yield len(UP)
        print("wide is torn down")

    @pytest.fixture
    def fails_late():
        yield
        raise RuntimeError("late")

    @pytest.fixture
    def fails_early():
        raise RuntimeError("early")

    def test_passes(wide, tmp_path, capsys):
        print("hidden")
        assert capsys.readouterr().out == "hidden\\n"
        (tmp_path / "file").touch()
        assert wide == 1

    def test_fails(wide, record_property):
        record_property("colour", "red")
        print("on stdout")
        print("on stderr", file=sys.stderr)
        assert [1, 2] == [1, 3]

    def test_late(fails_late):
        pass

    def test_early(fails_early):
        pass

    @pytest.mark.xfail(reason="known")
    def test_xfails():
        assert False

    @pytest.mark.xfail(strict=True)
    def test_strict():
        pass

    @pytest.mark.skip(reason="not today")
    def test_skipped():
        pass

    def test_warns():
        warnings.warn("beware", DeprecationWarning)

    class TestCase(unittest.TestCase):
        @classmethod
        def setUpClass(cls):
            cls.value = 1

        def test_value(self):
            self.assertEqual(1, self.value)

        @unittest.expectedFailure
        def test_expected(self):
            self.fail()

    @pytest.mark.parametrize("n", range(2))
    def test_exits(n):
        if n:
            raise SystemExit(3)

    def doctested():
        '''
        >>> 1 + 1
        2
        '''
"""
SUBTESTS = """
    import unittest

    def test_parts(subtests):
        with subtests.test("one"):
            assert False
        with subtests.test("two"):
            pass

    class TestCase(unittest.TestCase):
        def test_parts(self):
            with self.subTest("three"):
                self.fail()
"""
DEATHS = """
    import ctypes, os, signal, time
    import pytest

    MIB = 1 << 20
    isolate = pytest.mark.mem_isolate

    @pytest.fixture
    def dies():
        os._exit(4)

    @pytest.fixture
    def dies_late():
        yield
        os._exit(5)

    def test_before():
        pass

    def test_crash():
        print("so far")
        os.write(2, b"and further")
        ctypes.string_at(0)

    def test_exit():
        os._exit(3)

    def test_abort():
        os.abort()

    def test_kill():
        os.kill(os.getpid(), signal.SIGKILL)

    def test_setup(dies):
        pass

    def test_teardown(dies_late):
        pass

    @isolate(timeout=0.2)
    def test_slow():
        time.sleep(60)

    @isolate(limit=30)
    def test_large():
        kept = []
        while True:
            kept.append(bytearray(b"x") * MIB)
            time.sleep(0.001)

    @pytest.mark.xfail
    def test_expected():
        os.abort()

    def test_after():
        pass
"""
CAUSES = {
    "test_crash": "crashed (SIGSEGV) in its call",
    "test_exit": "ended itself with exit code 3 in its call",
    "test_abort": "crashed (SIGABRT) in its call",
    "test_kill": "was killed by SIGKILL (no out-of-memory kills, * in its call",
    "test_setup": "ended itself with exit code 4 in its setup",
    "test_teardown": "ended itself with exit code 5 in its teardown",
    "test_slow": "was stopped at its timeout of 0.2 s (the marker) in its call",
    "test_large": "was stopped at its limit of 30.0 MiB (the marker) in its call",
}


def told(result) -> list[str]:
    """What a run says of its tests: everything but seconds, addresses and our header."""
    lines = [re.sub(r"0x[0-9a-f]+|\d+\.\d+s", "N", line) for line in result.outlines]
    return [line for line in lines if not line.startswith(("memguard:", "cachedir:"))]


@pytest.mark.parametrize("scope", ["test", "module"])
def test_the_report_is_the_same(run, scope) -> None:
    """Outcomes, output, warnings and summaries are those of a run without isolation."""
    flags = ["-rA", "--doctest-modules", "-p", "no:randomly"]
    plain = run(KINDS, *flags)
    isolated = run(KINDS, *flags, f"--mem-isolate={scope}")
    plain.assert_outcomes(passed=6, failed=3, errors=2, skipped=1, xfailed=2, warnings=1)
    if scope == "module":
        assert told(isolated) == told(plain)
    else:  # the session fixture is torn down in every process that has set it up
        kept = [line for line in told(isolated) if "wide is torn down" not in line]
        assert set(kept) - set(told(plain)) <= {
            "--------------------------- Captured stdout teardown ---------------------------",
            "___________________________________ test_passes ________________________________",
        }
        assert isolated.parseoutcomes() == plain.parseoutcomes()
    assert isolated.ret == plain.ret


@pytest.mark.fast
def test_each_test_has_a_process(run) -> None:
    """No test sees what another one has left; with =module those of the file do."""
    source = """
        import os

        KEPT = []

        def test_one():
            KEPT.append(os.getpid())

        def test_two():
            assert not KEPT
    """
    run(source, "--mem-isolate").assert_outcomes(passed=2)
    run(source, "--mem-isolate=module").assert_outcomes(passed=1, failed=1)
    run(source).assert_outcomes(passed=1, failed=1)


@pytest.mark.fast
def test_a_marker_isolates_its_test(run) -> None:
    """A test with the marker does not see, or leave, anything; fixtures of others live on."""
    result = run(
        """
        import pytest

        KEPT = []

        @pytest.fixture(scope="module")
        def wide():
            KEPT.append("up")
            yield
            assert KEPT == ["up", "one", "three"]
            print("torn down once")

        def test_one(wide):
            KEPT.append("one")

        @pytest.mark.mem_isolate
        def test_two(wide):
            assert KEPT == ["up"]
            KEPT[:] = ["up", "one", "three"]

        def test_three(wide):
            KEPT.append("three")

        @pytest.mark.mem_isolate
        def test_four():
            assert not KEPT
        """,
        "-rP",
    )
    result.assert_outcomes(passed=4)


@pytest.mark.fast
@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "xdist"])
def test_deaths(run, written, workers) -> None:
    """A process that dies fails its own test with the cause, and the run goes on."""
    result = run(
        DEATHS,
        "--mem-isolate",
        "--mem-json=out.json",
        *workers,
        plugins=XDIST if workers else (),
    )
    result.assert_outcomes(passed=3, failed=6, errors=2, xfailed=1)
    tests = written()
    for name, cause in CAUSES.items():
        result.stdout.fnmatch_lines([f"{cause}*(test-died)"])
        assert tests[name]["death"]["phase"] in cause
    assert tests["test_crash"]["death"]["signal"] == 11
    assert "test_crash" in tests["test_crash"]["death"]["stack"][-1]
    assert "sleep" in tests["test_slow"]["death"]["stack"][0] or (
        "test_slow" in tests["test_slow"]["death"]["stack"][0]
    )
    assert 30 << 20 < tests["test_large"]["death"]["used_bytes"] < 200 << 20
    assert "death" not in tests["test_after"]
    jsonschema.validate(
        json.loads(Path("out.json").read_text(encoding="utf-8")),
        json.loads(SCHEMA.read_text(encoding="utf-8")),
    )
    result.stdout.fnmatch_lines(
        [
            "*Captured stdout call*",
            "so far",
            "*Captured stderr call*",
            "and further*",
            "the processes of 9 tests died: 2 crashed (SIGABRT), *",
        ]
    )


def test_too_brief_for_a_sample(run) -> None:
    """A peak above the limit that no sample sees stops the test at the end of the phase."""
    result = run(
        """
        import pytest

        def use(mib):
            block = bytearray(mib << 20)
            block[::4096] = b"x" * len(block[::4096])

        @pytest.fixture
        def used_late():
            yield
            use(40)

        @pytest.mark.mem_isolate(limit=30)
        def test_within():
            use(20)

        @pytest.mark.mem_isolate(limit=30)
        def test_brief():
            use(40)

        @pytest.mark.mem_isolate(limit=30)
        def test_late(used_late):
            pass
        """,
        "--mem",
    )
    result.assert_outcomes(passed=2, failed=1, errors=1)
    for phase in ("call", "teardown"):
        result.stdout.fnmatch_lines(
            [f"was stopped at its limit of 30.0 MiB * in its {phase} (test-died)"]
        )


def test_children_count_against_the_limit(run) -> None:
    """What a test starts is stopped with it when all together go beyond the limit."""
    result = run(
        """
        import os, subprocess, sys, time
        import pytest

        @pytest.mark.mem_isolate(limit=60)
        def test_starts():
            code = "block = bytearray(b'x') * (100 << 20); import time; time.sleep(60)"
            with open("pid", "w") as file:
                child = subprocess.Popen([sys.executable, "-c", code])
                file.write(str(child.pid))
            child.wait()
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["was stopped at its limit of 60.0 MiB *"])
    assert not Path("/proc", Path("pid").read_text(encoding="utf-8"), "exe").exists()


def test_numbers_are_free_of_neighbours(run, written) -> None:
    """A test uses the same in every order: nothing that others have freed hides it."""
    source = """
        import pytest

        CACHE = {}

        def load(key):
            if key not in CACHE:
                CACHE[key] = [bytes(24) for _ in range(200_000)]

        @pytest.mark.mem_budget(200)
        @pytest.mark.parametrize("n", range(3))
        def test_load(n):
            load("rows")

        @pytest.mark.mem_budget(5)
        def test_over():
            load("rows")
    """
    result = run(source, "--mem-isolate", "--mem-json=out.json")
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["peak RSS * over the budget of 5.0 MiB *(over-budget)"])
    peaks = {name: peak_of(test) for name, test in written().items()}
    assert max(peaks.values()) - min(peaks.values()) < 1 << 20
    assert min(peaks.values()) > 8 << 20


def peak_of(test) -> int:
    """Bytes of the peak of a test's call."""
    call = next(phase for phase in test["phases"] if phase["name"] == "call")
    return call["peaks"][0]["bytes"]


def test_empty_tests_use_nothing(run, written) -> None:
    """Code that a new process maps for the first time counts for no test."""
    source = """
        import pytest

        @pytest.mark.parametrize("n", range(3))
        def test_nothing(n):
            pass
    """
    run(source, "--mem-isolate", "--mem-json=out.json").assert_outcomes(passed=3)
    assert max(map(peak_of, written().values())) < 400 << 10


def test_history(run) -> None:
    """The history has the peak, the seconds and the cause of death."""
    run(DEATHS, "--mem-isolate", "--mem-history=h.db", "-k", "crash or large or after or exp")
    with sqlite3.connect("h.db") as database:
        rows = database.execute(
            "SELECT nodeid, outcome, death, peak_bytes, seconds FROM memguard_readings"
            " JOIN memguard_tests ON id = test_id"
        ).fetchall()
    database.close()
    found = {row[0].rpartition("::")[2]: row[1:3] for row in rows}
    assert found == {
        "test_crash": ("crashed", "crashed (SIGSEGV)"),
        "test_large": ("crashed", "limit"),
        "test_expected": ("xfailed", "crashed (SIGABRT)"),
        "test_after": ("passed", ""),
    }
    assert all(peak is not None and seconds > 0 for *_, peak, seconds in rows)


def test_first_failure_stops_the_run(run) -> None:
    """-x and --maxfail count failures of isolated tests."""
    run(DEATHS, "--mem-isolate", "-x").assert_outcomes(passed=1, failed=1)
    result = run(DEATHS, "--mem-isolate=module", "--maxfail=2")
    result.assert_outcomes(passed=1, failed=2)


@pytest.mark.parametrize("stops", [False, True], ids=["-x", "shouldstop"])
def test_a_module_that_is_not_finished(run, stops) -> None:
    """Fixtures of a module that stops in the middle are torn down, and problems are named."""
    source = """
        import pathlib
        import pytest

        @pytest.fixture(scope="module")
        def wide():
            yield
            pathlib.Path("torn").touch()
            raise RuntimeError("too late")

        def test_one(wide):
            assert False

        def test_two(wide):
            pass
    """
    if stops:  # a hook of the process of the run alone, which the other one hears nothing of
        Path("conftest.py").write_text(
            "def pytest_runtest_logfinish(nodeid, location):\n"
            "    SESSION.shouldstop = 'enough'\n"
            "def pytest_sessionstart(session):\n"
            "    global SESSION\n"
            "    SESSION = session\n",
            encoding="utf-8",
        )
    result = run(source, "--mem-isolate=module", *([] if stops else ["-x"]))
    assert Path("torn").exists()
    if stops:
        result.assert_outcomes(failed=1)
        line = "*what test_it.py::test_one has set up was not torn down: RuntimeError: too late"
        result.stdout.fnmatch_lines([line])
    else:
        assert result.parseoutcomes() == run(source, "-x").parseoutcomes()


def test_a_module_goes_on_after_a_death(run) -> None:
    """With =module, the tests behind one that died have another process."""
    result = run(
        """
        import os
        import pytest

        @pytest.fixture(scope="module")
        def wide():
            return [os.getpid()]

        def test_one(wide):
            assert wide == [os.getpid()]

        def test_two(wide):
            os._exit(1)

        def test_three(wide):
            assert wide == [os.getpid()]

        def test_four(wide):
            assert wide == [os.getpid()]
        """,
        "--mem-isolate=module",
    )
    result.assert_outcomes(passed=3, failed=1)


def test_no_terminal(run) -> None:
    """With --pdb no test is isolated, and that is said; nor can a test open a debugger."""
    source = """
        import os

        PID = os.getpid()

        def test_here():
            assert PID == os.getpid()
    """
    result = run(source, "--mem-isolate", "--pdb")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["not measured here: isolated tests: --pdb needs the terminal;*"]
    )
    result = run("def test_it():\n    breakpoint()\n", "--mem-isolate")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*an isolated test cannot open a debugger*"])


@pytest.mark.parametrize(
    ("code", "ret", "line"),
    [
        pytest.param("pytest.exit('enough', 7)", 7, "*Exit: enough*", id="exit"),
        pytest.param("raise KeyboardInterrupt", 2, "*KeyboardInterrupt*", id="interrupt"),
    ],
)
def test_stopping_the_run(run, code, ret, line) -> None:
    """A test that ends the run ends it from its own process, too."""
    source = f"""
        import pytest

        def test_one():
            {code}

        def test_two():
            pass
    """
    result = run(source, "--mem-isolate")
    assert ret == result.ret
    result.stdout.fnmatch_lines([line])
    assert "passed" not in result.parseoutcomes()


def test_markers_that_make_no_sense(run) -> None:
    """A wrong argument stops the run before the first test."""
    result = run(
        """
        import pytest

        @pytest.mark.mem_isolate(limit="much", timeout=0)
        def test_it():
            pass
        """
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            "ERROR: memguard: test_it.py:4: * mem_isolate: 'much' is not a size*",
            "*mem_isolate: timeout 0 is not a number of seconds above 0",
        ]
    )


def test_compare(run) -> None:
    """A baseline can be saved and compared with inside; suspects are measured again there."""
    source = "def test_it():\n    kept = bytearray(b'x') * ({} << 20)\n"
    save, compare = (
        ["--mem-isolate", "--mem-save=b.json"],
        ["--mem-isolate", "--mem-compare=b.json"],
    )
    run(source.format(10), *save).assert_outcomes(passed=1)
    run(source.format(10), *compare).assert_outcomes(passed=1)
    result = run(source.format(30), *compare)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*(regression)", "measured again in a fresh process: *"])


def test_subtests(run) -> None:
    """Subtests that fail are reported, and fail their test as without isolation."""
    if sys.modules.get("_pytest.subtests") is None:
        pytest.skip("subtests came with pytest 9")
    plain, isolated = run(SUBTESTS), run(SUBTESTS, "--mem-isolate")
    assert isolated.parseoutcomes() == plain.parseoutcomes()


def test_timeouts_of_pytest_timeout(run) -> None:
    """pytest-timeout stops the test in its own process, not the run."""
    pytest.importorskip("pytest_timeout")
    source = """
        import time

        def test_slow():
            time.sleep(60)

        def test_after():
            pass
    """
    for method, outcome in (
        ("signal", "*Timeout*"),
        ("thread", "ended itself with exit code 1*"),
    ):
        result = run(
            source,
            "--mem-isolate",
            "--timeout=0.3",
            f"--timeout-method={method}",
            plugins=["pytest_timeout"],
        )
        result.assert_outcomes(passed=1, failed=1)
        result.stdout.fnmatch_lines([outcome])


def test_coverage(run, monkeypatch) -> None:
    """Lines that isolated tests have run are covered."""
    pytest.importorskip("pytest_cov")
    Path("lib.py").write_text("def one():\n    return 1\n\n\ndef two():\n    return 2\n")
    monkeypatch.syspath_prepend(".")
    source = "import lib\n\ndef test_one():\n    lib.one()\n"
    flags = ["--cov=lib", "--cov-report=term-missing"]
    result = run(source, "--mem-isolate", *flags, plugins=["pytest_cov.plugin"])
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["lib.py * 4 * 1 * 75% * 6"])


def test_a_server_that_was_killed(run) -> None:
    """A run whose server was killed ends, and says so."""
    result = run(
        """
        import os, signal

        def test_kills():
            os.kill(os.getppid(), signal.SIGKILL)

        def test_after():
            pass
        """,
        "--mem-isolate",
    )
    result.stdout.fnmatch_lines(
        ["*the process that was forked before the first test has gone*"]
    )
    assert result.ret != 0


def test_other_checks_inside(run) -> None:
    """Hard budgets and leak checks work in the process of a test."""
    result = run(
        """
        import pytest

        KEPT = []

        @pytest.mark.mem_budget(20, hard=True)
        def test_hard():
            rows = []
            for _ in range(60):
                rows.append(bytearray(1 << 20))

        @pytest.mark.mem_leak_check
        def test_leaks():
            KEPT.append(bytearray(1000))

        @pytest.mark.mem_leak_check
        def test_clean():
            bytearray(1000)
        """,
        "--mem-isolate",
    )
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["*(hard-limit)", "*LeakDetected*"], consecutive=False)


def test_a_process_that_dies_between_tests(run) -> None:
    """A process that dies when a test is over fails none, and is named at the end."""
    result = run(
        """
        import atexit, os

        def test_one():
            atexit.register(os._exit, 9)

        def test_two():
            pass
        """,
        "--mem-isolate",
    )
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["*the process of test_it.py::test_one ended itself with exit code 9 when the test*"]
    )


def test_what_runs_at_exit(run) -> None:
    """A process of a test runs what the test has registered for its exit, and nothing else."""
    source = """
        import atexit, os

        PID = os.getpid()

        def note(name):
            with open("exits", "a") as file:
                print(name, os.getpid() == PID, file=file)

        atexit.register(note, "run")

        def test_it():
            atexit.register(note, "test")
    """
    run(source, "--mem-isolate", subprocess=True).assert_outcomes(passed=1)
    assert Path("exits").read_text(encoding="utf-8") == "test False\nrun True\n"


def test_junit(run) -> None:
    """JUnit XML has the failure of a test that died, with its peak."""
    run(DEATHS, "--mem-isolate", "--junitxml=j.xml", "-k", "crash or large or after")
    xml = Path("j.xml").read_text(encoding="utf-8")
    assert 'errors="0" failures="2" skipped="0" tests="3"' in xml
    assert re.search(r'(?s)name="test_large".*?name="memguard_peak_bytes" value="\d{8}"', xml)
    assert "crashed (SIGSEGV) in its call" in xml


def test_a_forked_process_that_goes_on(run) -> None:
    """A process that a test has forked, and that returns from the test, reports nothing."""
    result = run(
        """
        import os

        def test_forks():
            os.fork()

        def test_after():
            pass
        """,
        "--mem-isolate",
    )
    result.assert_outcomes(passed=2)


@pytest.mark.parametrize("number", [2, 15], ids=["interrupt", "terminate"])
def test_a_run_that_is_stopped(pytester, number) -> None:
    """A run that is interrupted tears the test down; one that is ended leaves no process."""
    pytester.makepyfile(
        """
        import os, pathlib, time
        import pytest

        @pytest.fixture
        def note():
            yield
            pathlib.Path("torn").touch()

        def test_slow(note):
            pathlib.Path("new").write_text(str(os.getpid()))
            os.rename("new", "pid")
            time.sleep(60)
        """
    )
    plugins = ["-p", "pytest_memguard.plugin.hooks", "-p", "no:cacheprovider"]
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", *plugins, "--mem-isolate"],
        cwd=pytester.path,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        # a job in the background of a shell ignores interrupts
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    deadline = time.monotonic() + 60
    while not Path("pid").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    pid = Path("pid").read_text(encoding="utf-8")
    while Path("/proc", pid).exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    if number == signal.SIGINT:
        assert process.returncode == pytest.ExitCode.INTERRUPTED
        assert "KeyboardInterrupt" in out
        assert Path("torn").exists()


KEPT = """
    import pytest

    @pytest.fixture
    def talks():
        yield
        print("torn down")

    @pytest.mark.parametrize("n", range(5))
    def test_quiet(n):
        pass

    def test_talks(talks):
        pass
"""
COUNT = """
    def pytest_sessionfinish(session):
        terminal = session.config.pluginmanager.get_plugin("terminalreporter")
        kept = [report.when for report in terminal.stats.get("", [])]
        print("kept", kept.count("setup"), kept.count("teardown"))
"""


@pytest.mark.parametrize(
    ("flags", "kept"),
    [((), "kept 0 1"), (("--durations=3",), "kept 6 6")],
    ids=["no-durations", "durations"],
)
def test_what_is_kept_of_it(run, pytester, flags, kept) -> None:
    """The run's process keeps no report that is never shown."""
    pytester.makeconftest(COUNT)
    result = run(KEPT, "--mem-isolate", *flags)
    result.assert_outcomes(passed=6)
    result.stdout.fnmatch_lines([f"*{kept}"])
