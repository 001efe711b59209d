"""Tests of the memguard command: what it prints, and the status it ends with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from pytest_memguard import __version__
from pytest_memguard.cli import main
from pytest_memguard.codecs.run_codec import FORMAT
from pytest_memguard.model.results import Outcome
from pytest_memguard.report.leak_section import leaks_section
from pytest_memguard.report.summary import memory_section, notes
from tests.support.sample_values import OUTCOME, RUN
from tests.support.stored_runs import as_stored


@pytest.fixture(autouse=True)
def no_colour(monkeypatch):
    """The usage has no colours, whatever the machine that runs the tests asks for."""
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture
def stored(tmp_path):
    """Writes a run as --mem-json would, and returns the file's name."""

    def write(run=RUN) -> str:
        path = tmp_path / "memory.json"
        path.write_text(json.dumps(as_stored(run)), encoding="utf-8")
        return str(path)

    return write


def many(count) -> tuple[Outcome, ...]:
    """Some tests, the first the largest."""
    return tuple(
        replace(OUTCOME, nodeid=f"test_{number:03}", findings=(), stages=(), notes=())
        for number in range(count)
    )


def test_report(stored, capsys) -> None:
    """A stored run reads as at the end of the run, breaches and notes below it."""
    assert main(["report", stored()]) == 0
    expected = [
        *(line.text for line in memory_section(RUN.outcomes, RUN.totals, 10)),
        *notes(RUN.outcomes, with_failures=True),
    ]
    expected += ["", "Leaks:", *leaks_section(RUN.outcomes, {})]
    assert ("\n".join(expected) + "\n", "") == capsys.readouterr()


def test_report_shows_breaches(stored, capsys) -> None:
    """Breaches are reported here, because there are no failures to show them."""
    main(["report", stored()])
    printed = capsys.readouterr().out.splitlines()
    at = printed.index("Leaks:")
    last = printed[at - 3 : at - 1]
    assert last[0].startswith(f"{OUTCOME.nodeid}: peak heap 212.5 MiB is 12.5 MiB over")
    assert f"{OUTCOME.nodeid}: setup rose 3.0 MiB" == last[1]


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        pytest.param([], 10, id="ten-by-default"),
        pytest.param(["--top", "3"], 3, id="fewer"),
        pytest.param(["--top=500"], 12, id="all"),
    ],
)
def test_top(stored, capsys, arguments, shown) -> None:
    """--top sets how many tests are shown."""
    assert main(["report", stored(replace(RUN, outcomes=many(12))), *arguments]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [f"test_{number:03}" for number in range(shown)] == [
        line.split()[-1] for line in lines if line[:1] == " " and "  test_" in line[3:]
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(b"{", "is not a JSON file: ", id="half-a-file"),
        pytest.param(b"", "is not a JSON file: ", id="empty-file"),
        pytest.param(b"\xff\xfe", "is not a JSON file: ", id="no-text"),
        pytest.param(b"[" * 100_000, "is not a JSON file: ", id="deep"),
        pytest.param(b"[]", "is not a file that --mem-json wrote", id="other-json"),
        pytest.param(
            b'{"format": 99, "tests": []}',
            f"has format 99, this version reads format {FORMAT}",
            id="other-format",
        ),
        pytest.param(
            b'{"format": %d, "tests": []}' % FORMAT,
            "lacks something a run has (KeyError: 'environment')",
            id="damaged",
        ),
    ],
)
def test_bad_file(tmp_path, capsys, text, problem) -> None:
    """A file that is no stored run ends in status 2, with one line that says why."""
    path = tmp_path / "memory.json"
    path.write_bytes(text)
    assert main(["report", str(path)]) == 2
    output, error = capsys.readouterr()
    assert output == ""
    assert error.startswith(f"memguard: {path} {problem}")
    assert error.count("\n") == 1


def test_no_file(tmp_path, capsys) -> None:
    """A file that is not there ends in status 2, with the system's words."""
    path = tmp_path / "memory.json"
    assert main(["report", str(path)]) == 2
    assert (
        "",
        f"memguard: {path} cannot be read: No such file or directory\n",
    ) == capsys.readouterr()


def test_folder_for_a_file(tmp_path, capsys) -> None:
    """A folder is no file."""
    assert main(["report", str(tmp_path)]) == 2
    assert f"memguard: {tmp_path} cannot be read: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param([], "required: COMMAND", id="no-command"),
        pytest.param(["rapport"], "invalid choice: 'rapport'", id="unknown-command"),
        pytest.param(["report"], "required: FILE", id="no-file"),
        pytest.param(
            ["report", "m.json", "--top", "x"], "'x' is not a number of tests", id="top-a-word"
        ),
        pytest.param(
            ["report", "m.json", "--top", "\uff13"],
            "'\uff13' is not a number of tests",
            id="top-full-width",
        ),
        pytest.param(
            ["report", "m.json", "--top", "0"], "'0' is not a number of tests", id="top-zero"
        ),
        pytest.param(
            ["report", "m.json", "--top=-1"], "'-1' is not a number of tests", id="top-negative"
        ),
        pytest.param(["report", "m.json", "--mem"], "arguments: --mem", id="unknown-flag"),
    ],
)
def test_bad_arguments(capsys, arguments, words) -> None:
    """Arguments that make no sense end in status 2, with the usage."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    output, error = capsys.readouterr()
    assert output == ""
    assert error.startswith("usage: memguard")
    assert words in error


def test_version(capsys) -> None:
    """The version is the distribution's."""
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert f"memguard {__version__}\n" == capsys.readouterr().out


def test_help_has_examples(capsys) -> None:
    """The help ends in commands to copy."""
    with pytest.raises(SystemExit) as caught:
        main(["report", "--help"])
    assert caught.value.code == 0
    assert "\n  memguard report memory.json " in capsys.readouterr().out


def test_python_dash_m(tmp_path) -> None:
    """``python -m pytest_memguard`` is the same command, with the same status."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest_memguard", "report", "missing.json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "memguard: missing.json cannot be read: No such file or directory\n"


@pytest.mark.skipif(os.name != "posix", reason="pipes break in another way")
def test_reader_that_goes_away(stored) -> None:
    """If its output is closed, as by ``head``, the command ends without an error."""
    with subprocess.Popen(
        [sys.executable, "-m", "pytest_memguard", "report", stored()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as command:
        assert command.stdout is not None
        assert command.stderr is not None
        command.stdout.close()
        assert (command.stderr.read(), command.wait()) == (b"", 0)
