"""Tests of ``memguard history``: what it finds, prints and refuses."""

from __future__ import annotations

import io
import sys

import pytest

from pytest_memguard.cli import main
from pytest_memguard.cli.history import can_print, matching
from tests.support.history_values import PLACE, fill, name_of

NAMES = ["t.py::test_a[1]", "t.py::test_a[12]", "t.py::test_b", "u.py::test_b"]


@pytest.fixture
def stored(tmp_path):
    """A history of twelve runs, in which one of three tests steps at the seventh."""
    path = tmp_path / "history.sqlite3"
    flat = [20.0] * 12
    fill(path, {NAMES[0]: flat, NAMES[1]: [20.0] * 6 + [30.0] * 6, NAMES[2]: flat})
    return str(path)


def printed(capsys, *arguments) -> str:
    """What the command prints, if all is well with it."""
    assert main(["history", *arguments]) == 0
    output, error = capsys.readouterr()
    assert error == ""
    return output


def test_overview(stored, capsys) -> None:
    """Without a test, the one that stepped and the runs are shown, ten of them."""
    lines = printed(capsys, "--file", stored).splitlines()
    assert lines[0] == "Tests whose level stepped in the last 12 runs:"
    assert lines[3].split() == [
        NAMES[1],
        name_of(7)[:9],
        "main",
        "2026-11-01",
        "20.0",
        "30.0",
        "+50%",
    ]
    shown = [line.split()[0] for line in lines[8:]]
    assert [str(number) for number in range(12, 2, -1)] == shown


def test_one_test(stored, capsys) -> None:
    """With a node id, its table over commits and its step are shown, and nothing else."""
    lines = printed(capsys, NAMES[1], "--file", stored).splitlines()
    assert lines[0] == f"{NAMES[1]} (Linux x86_64, CPython 3.12)"
    assert lines[-1] == (
        f"Level rose by 10.0 MiB (+50%), from 20.0 to 30.0 MiB, at {name_of(7)[:9]} "
        "(main, 2026-11-01)"
    )
    assert sum(line.startswith("00000") for line in lines) == 12


def test_the_latest_runs_only(stored, capsys) -> None:
    """--last leaves older runs out of tables and of the search for steps."""
    output = printed(capsys, NAMES[1], "--file", stored, "--last=5")
    assert name_of(7)[:9] not in output
    assert "5 commits: too few to tell a step" in output
    assert "No test's level stepped in 5 runs" in printed(capsys, "--file", stored, "--last=5")


def test_several_tests(stored, capsys) -> None:
    """Each match has a section, up to a number of them."""
    output = printed(capsys, "test_a", "--file", stored)
    assert output.count(f"{PLACE})\n") == 2
    assert f"\n\n{NAMES[0]} ({PLACE})\n" in output
    output = printed(capsys, "t.py*", "--file", stored, "--top=1")
    assert NAMES[0] not in output
    assert output.endswith("\n(2 more tests match; --top N shows more)\n")


def test_a_test_of_older_runs(stored, capsys) -> None:
    """A test that the latest runs did not run is reported as that."""
    fill(stored, {"new": [1.0] * 3}, first=20)
    output = printed(capsys, "test_b", "--file", stored, "--last=3")
    assert output == "No reading of 'test_b' in 3 runs.\n"


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        pytest.param("t.py::test_a[1]", NAMES[:1], id="its-name"),
        pytest.param("test_a[1", NAMES[:2], id="a-part"),
        pytest.param("test_b", NAMES[2:], id="in-two-files"),
        pytest.param("t.py::test_a[?]", NAMES[:1], id="question-mark"),
        pytest.param("*.py::test_b", NAMES[2:], id="star"),
        pytest.param("test_?", [], id="patterns-are-whole"),
        pytest.param("none", [], id="none"),
    ],
)
def test_matching(wanted, found) -> None:
    """A node id means itself, a pattern what it matches, and anything else is a part."""
    assert found == matching(NAMES, wanted)


def test_an_output_without_blocks(stored, monkeypatch) -> None:
    """Where the output has no blocks, plain signs are printed."""
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", output)
    assert main(["history", NAMES[1], "--file", stored]) == 0
    output.seek(0)
    assert "Peaks: ______@@@@@@ (20.0 to 30.0 MiB)" in output.read()


@pytest.mark.parametrize(
    ("encoding", "can"),
    [("utf-8", True), ("cp437", False), ("ascii", False), (None, False), ("none", False)],
)
def test_can_print(encoding, can) -> None:
    """An encoding that is not known can show plain signs only."""
    assert can == can_print("▁▂▃", encoding)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        pytest.param(["--branch", "other"], "{} has no run of the branch 'other'", id="branch"),
        pytest.param(
            ["zzz"], "{} has no test that is, matches or contains 'zzz'", id="no-such-test"
        ),
    ],
)
def test_what_is_not_there(stored, capsys, arguments, problem) -> None:
    """An unknown branch or test ends in status 2, with one line."""
    assert main(["history", "--file", stored, *arguments]) == 2
    assert ("", f"memguard: {problem.format(stored)}\n") == capsys.readouterr()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(None, "{}: there is no such file", id="no-file"),
        pytest.param("mine", "{} is no SQLite database", id="other-file"),
        pytest.param("", "{} has no runs: pytest --mem-history appends them", id="empty"),
    ],
)
def test_bad_files(tmp_path, capsys, content, problem) -> None:
    """A file that is no history ends in status 2, with one line; it is not touched."""
    path = tmp_path / "h.sqlite3"
    if content is not None:
        path.write_text(content)
    assert main(["history", "--file", str(path)]) == 2
    assert ("", f"memguard: {problem.format(path)}\n") == capsys.readouterr()
    assert path.exists() is (content is not None)


def test_urls_are_shown_without_password(capsys) -> None:
    """A server that cannot be reached is named without its password."""
    url = "postgresql://me:geheim@127.0.0.1:1/x?connect_timeout=2"
    assert main(["history", "--file", url]) == 2
    error = capsys.readouterr().err
    assert error.startswith("memguard: postgresql://me:***@127.0.0.1:1/x")
    assert "geheim" not in error
    assert error.count("\n") == 1


def test_half_a_url(tmp_path, monkeypatch, capsys) -> None:
    """A URL with one slash is refused, without its password and without a folder."""
    monkeypatch.chdir(tmp_path)
    assert main(["history", "--file", "postgresql:/me:geheim@host/db"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("memguard: the place of the history looks like a URL and is none: ")
    assert error.count("\n") == 1
    assert "geheim" not in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", ["0", "some"])
def test_bad_numbers(capsys, number) -> None:
    """A number of runs is a whole one from 1."""
    with pytest.raises(SystemExit) as caught:
        main(["history", "--last", number])
    assert caught.value.code == 2
    assert f"'{number}' is not a number of runs" in capsys.readouterr().err
