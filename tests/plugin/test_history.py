"""The history of runs: what a run leaves in it, and what stops it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from pytest_memguard.cli import main
from pytest_memguard.model.past_runs import HistoryLocation
from pytest_memguard.storage.history_location import open_to_read
from pytest_memguard.storage.stored_runs import read_readings, read_runs

FILE = ".memguard/history.sqlite3"
XDIST = ["xdist.plugin"]
SUITE = """
    import pytest

    def test_plain():
        bytearray(12 << 20)

    @pytest.mark.mem_budget(4)
    def test_over():
        bytearray(12 << 20)

    @pytest.mark.parametrize("n", range(3))
    def test_n(n):
        assert n != 1

    @pytest.mark.skip
    def test_skipped():
        pass
"""
OUTCOMES = {
    "test_n[0]": ("passed", ""),
    "test_n[1]": ("failed", ""),
    "test_n[2]": ("passed", ""),
    "test_over": ("failed", "over-budget"),
    "test_plain": ("passed", ""),
    "test_skipped": ("skipped", ""),
}


@pytest.fixture(autouse=True)
def no_commit(monkeypatch, tmp_path_factory):
    """No repository around the tests' folder, and no CI service, says anything."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path_factory.getbasetemp().parent))
    for name in ("GITHUB_SHA", "GITHUB_REF_NAME", "GITHUB_HEAD_REF"):
        monkeypatch.delenv(name, raising=False)
    for name in ("CI_COMMIT_SHA", "CI_COMMIT_REF_NAME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def past(pytester):
    """The runs of a history, and the readings by the test's function and the run's number."""

    def past(file=FILE):
        database = open_to_read(HistoryLocation(text=str(pytester.path / file)))
        runs = read_runs(database, last=99)
        readings = read_readings(database, runs)
        database.close()
        return runs, {(r.nodeid.rpartition("::")[2], r.run): r for r in readings}

    return past


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_is_appended(run, past, workers) -> None:
    """Every test has one reading, with its numbers, in one process or in two."""
    flags, plugins = (["-n", workers], XDIST) if workers else ([], [])
    result = run(SUITE, "--mem-history", *flags, plugins=plugins)
    result.stdout.fnmatch_lines(
        [
            "*= memory =*",
            (
                "run 1 of the history, 6 tests, no commit known (the tests are in no git "
                "repository): *history.sqlite3"
            ),
        ]
    )
    ((run_1,), readings) = past()
    assert {name: (r.outcome, r.finding) for (name, _), r in readings.items()} == OUTCOMES
    assert (run_1.status, run_1.aborted, run_1.tests) == (1, "", 6)
    plain = readings["test_plain", 1]
    assert 11 << 20 <= plain.peak <= 14 << 20
    assert plain.ceiling >= plain.peak
    assert (abs(plain.growth) < 4 << 20, plain.seconds > 0) == (True, True)
    assert {r.worker[:2] for r in readings.values()} == ({"gw"} if workers else {""})


def test_runs_are_added(run, past) -> None:
    """A second run leaves the first as it was."""
    run(SUITE, "--mem-history")
    before = past()
    run(None, "--mem-history", "-k", "plain")
    runs, readings = past()
    assert runs[:1] == before[0]
    assert {key: readings[key] for key in before[1]} == before[1]
    assert set(readings) - set(before[1]) == {("test_plain", 2)}
    assert (runs[1].status, runs[1].tests) == (0, 1)


def test_the_commit_is_stored(run, past, pytester) -> None:
    """The commit, its branch and whether something was changed are git's, as the run began."""
    for words in (
        "init -q -b topic",
        "add .",
        "-c user.name=a -c user.email=a@b commit -q --allow-empty -m x",
    ):
        subprocess.run(["git", *words.split()], cwd=pytester.path, check=True)  # noqa: S607  the machine's git
    source = "def test_it(): open('test_it.py', 'a').write(' ')"
    result = run(source, "--mem-history")
    ((first,), _) = past()
    assert (
        first.commit.branch,
        first.commit.dirty,
        len(first.commit.name),
    ) == ("topic", False, 40)
    line = f"run 1 of the history, 1 test, commit {first.commit.name[:9]}: *"
    result.stdout.fnmatch_lines([line])


@pytest.mark.parametrize(
    ("flag", "ini", "expected"),
    [
        pytest.param("--mem-history", "", FILE, id="flag"),
        pytest.param("--mem-history=x.db", "", "sub/x.db", id="flag-from-here"),
        pytest.param("", "x.db", "x.db", id="ini-from-the-root"),
        pytest.param("--mem-history", "x.db", FILE, id="flag-before-ini"),
    ],
)
def test_where_the_file_is(run, past, pytester, monkeypatch, flag, ini, expected) -> None:
    """A file of the config file is below the root, one of the command line is below here."""
    folder = pytester.mkdir("sub")
    pytester.makeini(f"[pytest]\n{f'mem_history = {ini}' if ini else ''}")
    (folder / "test_it.py").write_text("def test(): pass")
    monkeypatch.chdir(folder)
    run(None, *([flag] if flag else []))
    assert len(past(expected)[0]) == 1


def test_reruns_are_one_reading(run, past) -> None:
    """A test that was run again has the numbers of its last run."""
    source = """
        seen = []

        def test_flaky():
            seen.append(bytearray(1))
            bytearray((20 << 20) // len(seen))
            assert len(seen) == 2
    """
    run(source, "--mem-history", "--reruns=2", plugins=["pytest_rerunfailures"])
    _, readings = past()
    ((_, found),) = readings.items()
    assert found.outcome == "passed"
    assert 9 << 20 <= found.peak <= 12 << 20


def test_the_leak_check_is_stored(run, past) -> None:
    """The verdict is there, and a test that failed for it says so."""
    source = """
        import pytest

        kept = []

        @pytest.mark.mem_leak_check
        def test_leaks():
            kept.append(object())

        @pytest.mark.mem_leak_check
        def test_is_clean():
            pass
    """
    run(source, "--mem-history", "--mem-leak-calls=60", "--mem-leak-blame=none")
    _, readings = past()
    found = {name: (r.outcome, r.finding, r.leak) for (name, _), r in readings.items()}
    assert found == {
        "test_leaks": ("failed", "leaking", "leaking"),
        "test_is_clean": ("passed", "", "clean"),
    }


def test_a_regression_is_stored(run, past) -> None:
    """A test that failed for being worse than its baseline says so."""
    source = "def test(): bytearray({} << 20)"
    run(source.format(10), "--mem-save")
    run(source.format(40), "--mem-compare", "--mem-history")
    _, readings = past()
    assert (readings["test", 1].outcome, readings["test", 1].finding) == (
        "failed",
        "regression",
    )


def test_each_worker_runs_each_test(run, past) -> None:
    """With --dist=each a test has one reading all the same."""
    run("def test(): pass", "--mem-history", "--dist=each", "--tx=2*popen", plugins=XDIST)
    runs, readings = past()
    assert (runs[0].tests, list(readings)) == (1, [("test", 1)])


@pytest.mark.parametrize(
    ("body", "flags", "aborted", "stored"),
    [
        pytest.param("raise KeyboardInterrupt", (), "interrupted", 1, id="ctrl-c"),
        pytest.param("assert 0", ("-x",), "stopping after 1 failures", 2, id="first-failure"),
        pytest.param("pytest.exit('enough')", (), "interrupted", 1, id="exit"),
    ],
)
def test_aborted_runs_are_marked(run, past, body, flags, aborted, stored) -> None:
    """What was measured before the run was stopped is kept, and that it was is kept too."""
    source = f"""
        import pytest

        def test_1():
            pass

        def test_2():
            {body}

        def test_3():
            pass
    """
    result = run(source, "--mem-history", *flags)
    runs, readings = past()
    assert (aborted, stored) == (runs[0].aborted, len(readings))
    result.stdout.fnmatch_lines([f"*not complete ({aborted}): *"])


CRASHES = """
    import os, signal
    import pytest

    @pytest.fixture
    def early():
        os._exit(0)

    @pytest.fixture
    def late():
        yield
        os._exit(1)

    def test_before():
        pass

    def test_exit():
        os._exit(1)

    def test_killed():
        os.kill(os.getpid(), signal.SIGKILL)

    def test_setup(early):
        pass

    def test_teardown(late):
        pass

    def test_after():
        pass
"""


def test_tests_in_which_a_worker_died(run, past, pytester, capsys) -> None:
    """Each has a row that says so, whenever and however it died; the others have theirs."""
    result = run(CRASHES, "--mem-history", "-n", 1, plugins=XDIST)
    result.assert_outcomes(passed=3, failed=4)  # the call before that teardown had passed
    ((first,), readings) = past()
    assert first.aborted.startswith("crashed: gw")
    assert {name: reading.outcome for (name, _), reading in readings.items()} == {
        "test_before": "passed",
        "test_exit": "crashed",
        "test_killed": "crashed",
        "test_setup": "crashed",
        "test_teardown": "crashed",
        "test_after": "passed",
    }
    assert first.tests == 6
    lost = [r for r in readings.values() if r.outcome == "crashed"]
    assert {(r.peak, r.ceiling, r.growth, r.finding) for r in lost} == {(None, None, None, "")}
    assert len({r.worker for r in lost if r.worker.startswith("gw")}) == 4

    capsys.readouterr()
    history = HistoryLocation(text=str(pytester.path / FILE))
    assert main(["history", "test_it.py::test_exit", "--file", str(history)]) == 0
    assert "crashed" in capsys.readouterr().out


def test_a_run_of_nothing_but_a_crash(run, past) -> None:
    """It is appended though nothing was measured."""
    run("import os\ndef test_it(): os._exit(1)", "--mem-history", "-n", 1, plugins=XDIST)
    ((first,), readings) = past()
    assert (first.tests, readings["test_it", 1].outcome) == (1, "crashed")


def test_a_test_that_is_run_again_after_a_crash(run, past, pytester) -> None:
    """Where a plugin has such a test run again, what counts is how it ended."""
    pytester.makeconftest("""
        def pytest_handlecrashitem(crashitem, report, sched):
            sched.mark_test_pending(crashitem)
            report.outcome = "rerun"
    """)
    source = """
        import os, pathlib

        def test_it():
            if not pathlib.Path("ran").exists():
                pathlib.Path("ran").touch()
                os._exit(1)
    """
    run(source, "--mem-history", "-n", 1, plugins=XDIST).assert_outcomes(passed=1)
    (_, readings) = past()
    assert readings["test_it", 1].outcome == "passed"
    assert readings["test_it", 1].peak is not None


@pytest.mark.parametrize(("flag", "loaded"), [("--mem", []), ("--mem-history", ["sqlite3"])])
def test_nothing_is_loaded_unless_asked_for(run, pytester, flag, loaded) -> None:
    """Neither kind of database costs anything in a run without a history."""
    pytester.makeconftest("""
        import pathlib, sys

        def pytest_unconfigure():
            found = {"sqlalchemy", "psycopg", "sqlite3"} & set(sys.modules)
            pathlib.Path("loaded").write_text(" ".join(sorted(found)))
    """)
    run("def test(): pass", flag, subprocess=True)
    assert loaded == (pytester.path / "loaded").read_text().split()


@pytest.mark.parametrize("flags", [("-k", "nothing"), ("--collect-only",)])
def test_a_run_of_no_tests_is_not_appended(run, pytester, flags) -> None:
    """There is no file where nothing was measured."""
    run(SUITE, "--mem-history", *flags)
    assert not (pytester.path / FILE).exists()


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        pytest.param((), "{path} is no SQLite database", id="no-database"),
        pytest.param(("-n", "1"), "{path} is no SQLite database", id="under-xdist"),
    ],
)
def test_another_file_stops_the_run(run, pytester, flags, problem) -> None:
    """A file that is something else is a usage error, and keeps its content."""
    path = pytester.path / FILE
    path.parent.mkdir()
    path.write_text("mine")
    result = run(SUITE, "--mem-history", *flags, plugins=XDIST)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    message = f"ERROR: memguard: --mem-history: {problem.format(path=path)}"
    assert message in result.stderr.str().splitlines()
    assert path.read_text() == "mine"


def test_a_newer_schema_stops_the_run(run, pytester) -> None:
    """A history of a later version is a usage error that names both numbers."""
    import sqlite3

    run(SUITE, "--mem-history", "-k", "plain")
    path = pytester.path / FILE
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE memguard_schema SET number = 7")
    connection.close()
    before = path.read_bytes()
    result = run(None, "--mem-history")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [f"ERROR: memguard: --mem-history: {path} has schema 7, this *"]
    )
    assert before == path.read_bytes()


@pytest.mark.parametrize(("failing", "status"), [(False, 1), (True, 1)])
def test_what_goes_wrong_at_the_end_is_told(run, pytester, failing, status) -> None:
    """A file that was spoilt meanwhile turns the run red, with one line; --mem-json goes on."""
    source = f"""
        import pathlib

        def test():
            pathlib.Path({FILE!r}).write_text("spoilt while the tests were running")
            assert not {failing}
    """
    result = run(source, "--mem-history", "--mem-json=m.json")
    assert status == result.ret
    result.stdout.fnmatch_lines(
        ["the run could not be appended to the history: *history.sqlite3 is no SQLite database"]
    )
    assert len(json.loads((pytester.path / "m.json").read_text())["tests"]) == 1


def test_passwords_are_in_no_report(run) -> None:
    """Neither an error, nor the JSON file, nor the terminal shows the password of a URL."""
    url = "postgresql+psycopg://me:geheim@127.0.0.1:1/none?connect_timeout=2&password=geheim"
    result = run("def test(): pass", f"--mem-history={url}", "--mem-json=m.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    shown = result.stdout.str() + result.stderr.str()
    assert "geheim" not in shown
    assert "postgresql+psycopg://me:***@127.0.0.1:1/none" in shown


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        (
            "mysql://me@host/name",
            "mysql://me@host/name is not the URL of a PostgreSQL server: *",
        ),
        ("", "it is empty: write the path of a file"),
        (
            "postgresql+psycopg2://me@host/x",
            "*psycopg2, which is not installed: install it, or *",
        ),
        ("postgresql+nothing://me@host/name", "*cannot be used: Can't load plugin: *"),
        (
            "postgresql://me@host:port/name",
            "*is not a URL: write one like postgresql+psycopg:*",
        ),
    ],
)
def test_bad_urls(run, monkeypatch, url, problem) -> None:
    """A URL that makes no sense is a usage error that says what would be right."""
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    result = run(SUITE, f"--mem-history={url}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: memguard: --mem-history: {problem}"])


@pytest.mark.parametrize("missing", ["sqlalchemy", "psycopg"])
def test_a_missing_library_is_told(run, pytester, missing) -> None:
    """Without the extra, a URL is a usage error with the command that brings it."""
    pytester.makeconftest(f"import sys; sys.modules[{missing!r}] = None")
    result = run(SUITE, "--mem-history=postgresql://me:geheim@host/x")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    name = {"sqlalchemy": "SQLAlchemy"}.get(missing, missing)
    result.stderr.fnmatch_lines(
        [
            (
                "ERROR: memguard: --mem-history: postgresql://me:[*][*][*]@host/x needs "
                f"{name}, which is not installed: pip install 'pytest-memguard[[]sql[]]'"
            )
        ]
    )
