"""Files given to a run that are none, and URLs that are none: refused before the first test."""

from __future__ import annotations

import json
import os

import pytest

from pytest_memguard.cli import main

pytestmark = pytest.mark.skipif(os.name != "posix", reason="it needs pipes with a name")
SUITE = """
    def test_it():
        open("it_ran", "w").close()
"""
MARKED = """
    import pytest

    @pytest.mark.mem_leak_check
    def test_it():
        open("it_ran", "w").close()
"""
FLAGS = [
    "--mem-json",
    "--mem-markdown",
    "--mem-gitlab",
    "--mem-history",
    "--mem-save",
    "--mem-compare",
]


@pytest.fixture
def pipe(pytester):
    """A named pipe, to which no process has the other end open."""
    path = pytester.path / "pipe"
    os.mkfifo(path)
    return path


def assert_refused(result, pytester, source, file, kind="named pipe") -> None:
    """Check that the run stopped before the first test, with one line."""
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    lines = [line for line in result.stderr.lines if "memguard:" in line]
    (line,) = lines
    assert line.startswith(f"ERROR: memguard: {source}")
    assert str(file) in line
    assert f"it is a {kind}, not a regular file" in line
    assert not (pytester.path / "it_ran").exists()


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["here", "xdist"])
@pytest.mark.parametrize("flag", FLAGS)
def test_a_pipe_is_refused(run, pytester, pipe, flag, workers) -> None:
    """A named pipe is refused by every option that takes a file; nothing waits for it."""
    result = run(SUITE, f"{flag}=pipe", *workers, plugins=["xdist.plugin"])
    assert_refused(result, pytester, f"{flag}: ", "pipe")
    assert pipe.is_fifo()


@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize(
    ("file", "kind"), [("/dev/zero", "device"), ("folder", "folder")], ids=["device", "folder"]
)
def test_other_kinds_are_refused(run, pytester, flag, file, kind) -> None:
    """So are a device and a folder."""
    (pytester.path / "folder").mkdir()
    result = run(SUITE, f"{flag}={file}")
    assert_refused(result, pytester, f"{flag}: ", file, kind)


@pytest.mark.parametrize(
    ("line", "flag", "source"),
    [
        ("mem_json = pipe", "--mem", "mem_json in tox.ini: "),
        ("mem_history = pipe", "--mem", "mem_history in tox.ini: "),
        ("mem_compare = pipe", "--mem", "mem_compare in tox.ini: "),
        ("mem_baseline = pipe", "--mem-compare", "mem_baseline in tox.ini: "),
        ("mem_baseline = pipe", "--mem-accept=*", "mem_baseline in tox.ini: "),
    ],
)
def test_the_source_is_named(run, pytester, pipe, line, flag, source) -> None:
    """The line says which setting names the file."""
    pytester.makeini(f"[pytest]\n{line}\n")
    assert_refused(run(SUITE, flag), pytester, source, pipe.name)


@pytest.mark.parametrize("flag", ["--mem-save", "--mem-compare", "--mem-accept=*"])
def test_the_default_baseline(run, pytester, flag) -> None:
    """The file that no setting names is refused in the name of the flag that needs it."""
    folder = pytester.path / ".memguard"
    folder.mkdir()
    os.mkfifo(folder / "baseline.json")
    result = run(SUITE, flag)
    assert_refused(result, pytester, f"{flag.partition('=')[0]}: ", "baseline.json")


@pytest.mark.parametrize(
    ("source", "flags"),
    [
        pytest.param(SUITE, ["--mem-leak-check"], id="check"),
        pytest.param(SUITE, ["--mem-leak-check", "--mem-leak-accept"], id="accept"),
        pytest.param(MARKED, [], id="marker"),
        pytest.param("def test_it(memguard): open('it_ran', 'w')", [], id="fixture"),
    ],
)
def test_the_file_of_accepted_leaks(run, pytester, source, flags) -> None:
    """A pipe in the place of .memguard/leaks.json is refused wherever a test may need it."""
    folder = pytester.path / ".memguard"
    folder.mkdir()
    os.mkfifo(folder / "leaks.json")
    result = run(source, *flags)
    assert_refused(result, pytester, folder, "leaks.json")


def test_a_pipe_for_the_summary_of_a_job(run, pipe, monkeypatch) -> None:
    """A pipe in the place of GitHub's summary is one line, and no failure of the tests."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pipe))
    monkeypatch.delenv("PYTEST_CURRENT_TEST", raising=False)
    result = run(SUITE, "--mem")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["the job's summary was not written: * it is a named pipe, not a regular file: *"]
    )


def test_standard_output(run) -> None:
    """/dev/stdout is written to, between the other lines of the run."""
    result = run(SUITE, "--mem-json=/dev/stdout", subprocess=True)
    assert result.ret == pytest.ExitCode.OK
    text = result.stdout.str()
    data, _ = json.JSONDecoder().raw_decode(text[text.index('{\n "') :])
    assert [test["nodeid"] for test in data["tests"]] == ["test_it.py::test_it"]
    result.stdout.fnmatch_lines(["numbers of 1 test: /dev/stdout", "*1 passed*"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["report", "pipe"],
        ["compare", "pipe", "pipe"],
        ["merge", "pipe", "-o", "out.json"],
        ["merge", "run.json", "-o", "pipe"],
        ["export", "pipe", "--format=csv"],
        ["export", "run.json", "--format=csv", "-o", "pipe"],
        ["log", "--tsv=log.tsv", "--description=x", "--run=pipe"],
        ["log", "--tsv=log.tsv", "--description=x", "--run=run.json", "--baseline=pipe"],
        [
            "log",
            "--tsv=pipe",
            "--description=x",
            "--run=run.json",
            "--baseline=run.json",
        ],
        ["history", "--file=pipe"],
    ],
    ids=" ".join,
)
def test_commands_refuse_a_pipe(run, pipe, capsys, arguments) -> None:
    """Every command that is given a named pipe says so in one line, and status 2."""
    run(SUITE, "--mem-json=run.json")
    capsys.readouterr()
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("memguard: pipe")
    assert "it is a named pipe, not a regular file" in error
    assert error.count("\n") == 1
    assert pipe.is_fifo()


@pytest.mark.parametrize("source", ["flag", "ini"])
def test_half_a_url(run, pytester, source) -> None:
    """A history's URL with one slash is refused without its password, and makes no folder."""
    url = "postgresql:/me:geheim@host/db"
    flags = [f"--mem-history={url}"] if source == "flag" else []
    if source == "ini":
        pytester.makeini(f"[pytest]\nmem_history = {url}\n")
    result = run(SUITE, *flags)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    where = "--mem-history" if source == "flag" else "mem_history in tox.ini"
    result.stderr.fnmatch_lines(
        [f"ERROR: memguard: {where}: the place of the history looks like a URL and is none: *"]
    )
    assert "geheim" not in result.stdout.str() + result.stderr.str()
    assert not [path for path in pytester.path.iterdir() if path.is_dir()]
