"""Tests of ``memguard suggest``: what it reads, prints, writes and refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from fnmatch import fnmatchcase

import pytest

from pytest_memguard.cli import main
from pytest_memguard.model.baselines import Baseline, BaselineEntry, EnvironmentKey
from pytest_memguard.model.measurements import Budget, PhaseReading
from pytest_memguard.model.results import Outcome
from pytest_memguard.sizes import MIB
from pytest_memguard.storage.baseline import write_baseline
from tests.support.history_values import fill
from tests.support.sample_values import RUN, rss
from tests.support.stored_runs import as_stored

PLACE = EnvironmentKey(
    system="Linux", machine="x86_64", implementation="CPython", python="3.12"
)


def outcome(name: str, mebibytes: int, **more) -> Outcome:
    """A test that was measured."""
    call = PhaseReading(name="call", seconds=0.1, level=0, growth=0, peaks=(rss(mebibytes),))
    return Outcome(nodeid=f"test_a.py::{name}", phases=(call,), **more)


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A run of 20 small tests and a large one, whose budget is far above its peak."""
    monkeypatch.chdir(tmp_path)
    large = Budget(limit=900 * MIB, where="the marker")
    outcomes = [outcome(f"test_{n}", 1) for n in range(20)]
    outcomes.append(outcome("test_large", 50, budgets=(large,)))
    outcomes.append(outcome("test_failed", 400, result="failed"))
    run = replace(RUN, outcomes=tuple(outcomes))
    (tmp_path / "memory.json").write_text(json.dumps(as_stored(run)))
    return tmp_path


def printed(capsys, *arguments) -> str:
    """What the command prints, if all is well with it."""
    assert main(["suggest", *arguments]) == 0
    output, error = capsys.readouterr()
    assert error == ""
    return output


def test_a_run(file, capsys) -> None:  # noqa: ARG001  it goes there
    """Budgets, what they are for, and those of the run that are far above."""
    assert printed(capsys, "memory.json").splitlines() == [
        "  Budget    Peak MiB    Tests  Pattern",
        "--------  ----------  -------  ---------------------",
        "   4 MiB         1.0       21  **",
        "  65 MiB        50.0        1  test_a.py::test_large",
        "",
        "[pytest]",
        "mem_budgets =",
        "    ** = 4 MiB",
        "    test_a.py::test_large = 65 MiB",
        "",
        "Budgets far above what their tests use:",
        "  900.0 MiB for 50.0 MiB, 65 MiB would do: test_a.py::test_large",
    ]
    assert "test_a.py::test_large = 75 MiB" in printed(capsys, "memory.json", "--margin=50%")


def test_peaks_that_are_hidden(file, capsys) -> None:
    """Where slack could hide most of a peak, the better source is named."""
    call = PhaseReading(name="call", seconds=0.1, level=0, growth=0, peaks=(rss(1, 50),))
    run = replace(RUN, outcomes=(Outcome(nodeid="t.py::test_a", phases=(call,)),))
    (file / "hidden.json").write_text(json.dumps(as_stored(run)))
    lines = printed(capsys, "hidden.json").splitlines()
    assert lines[-2:] == [
        "Only upper bounds are known for 1 test: earlier tests had left memory free.",
        "pytest --mem-save measures them in a fresh process: suggest from the baseline.",
    ]


def test_written(file, capsys) -> None:
    """The config file gets them; with --diff the change is printed and none is made."""
    diff = printed(capsys, "memory.json", "--write", "ini", "--diff").splitlines()
    assert diff[:2] == ["--- pytest.ini", "+++ pytest.ini"]
    assert "+    ** = 4 MiB" in diff
    assert not (file / "pytest.ini").exists()
    assert printed(capsys, "memory.json", "--write", "ini") == "2 budgets: pytest.ini\n"
    written = (file / "pytest.ini").read_text()
    assert written == (
        "[pytest]\nmem_budgets =\n    ** = 4 MiB\n    test_a.py::test_large = 65 MiB\n"
    )
    assert (
        printed(capsys, "memory.json", "--write", "ini", "--diff")
        == "pytest.ini has these budgets\n"
    )


SOURCE = """\
import pytest


def test_0():
    pass


@pytest.mark.mem_budget(900)
def test_1():
    pass


class TestB:
    @pytest.mark.parametrize("n", [1, 2])
    def test_large(self, n):
        pass
"""


@pytest.fixture
def tests(file):
    """A file of tests with a run of them: one has a budget, one needs more than the others."""
    (file / "test_a.py").write_text(SOURCE)
    outcomes = [outcome(f"test_{n}", 1) for n in range(40)]
    outcomes += [outcome(f"TestB::test_large[{n}]", 40 + n) for n in (1, 2)]
    outcomes += [replace(outcome("x", 60), nodeid="gone.py::test_x")]
    run = replace(RUN, outcomes=tuple(outcomes))
    (file / "memory.json").write_text(json.dumps(as_stored(run)))
    return file / "test_a.py"


REST = [
    "",
    "Left as they are:",
    "  gone.py: there is no such file of Python here",
    "",
    "For all other tests, in pytest's config file (--write ini has more lines):",
    "  mem_budgets =",
    "      ** = 4 MiB",
]


def test_markers(tests, capsys) -> None:
    """Tests that need more than most get one, and those that have one another limit."""
    command = ("memory.json", "--write", "markers")
    diff = printed(capsys, *command, "--diff").splitlines()
    assert tests.read_text() == SOURCE
    changes = [line for line in diff if line[:1] in {"+", "-"}]
    assert changes == [
        "--- test_a.py",
        "+++ test_a.py",
        "-@pytest.mark.mem_budget(900)",
        "+@pytest.mark.mem_budget(4)",
        '+    @pytest.mark.mem_budget("55 MiB")',
    ]
    assert printed(capsys, *command).splitlines() == ["2 markers: test_a.py", *REST]
    written = tests.read_text()
    assert written != SOURCE
    assert printed(capsys, *command).splitlines() == ["the tests have these budgets", *REST]
    assert tests.read_text() == written
    assert not (tests.parent / "pytest.ini").exists()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(b"# coding: latin-1\n'\xe9'", "it is not UTF-8", id="encoding"),
        pytest.param(b"def test_0(:", "it cannot be parsed: *", id="syntax"),
    ],
)
def test_files_that_are_not_edited(tests, capsys, content, why) -> None:
    """Files that cannot be edited are named with the reason, and stay as they are."""
    tests.write_bytes(content)
    lines = printed(capsys, "memory.json", "--write", "markers").splitlines()
    assert [line for line in lines if fnmatchcase(line, f"  test_a.py: {why}")]
    assert tests.read_bytes() == content


def test_file_outside(tests, capsys, monkeypatch) -> None:
    """Only files below the folder are edited: others are another project's."""
    (tests.parent / "sub").mkdir()
    run = replace(RUN, outcomes=(replace(outcome("x", 60), nodeid="../test_a.py::test_1"),))
    (tests.parent / "sub" / "memory.json").write_text(json.dumps(as_stored(run)))
    monkeypatch.chdir(tests.parent / "sub")
    printed(capsys, "memory.json", "--write", "markers")
    assert tests.read_text() == SOURCE


def test_a_baseline(file, capsys) -> None:
    """What a first call fills counts: the test may be the first in its process."""
    tests = {"t.py::test_a": BaselineEntry(peak=5 * MIB, growth=0, cold=30 * MIB)}
    write_baseline(file / "baseline.json", Baseline(environments={PLACE: tests}))
    assert "    ** = 40 MiB" in printed(capsys, "baseline.json")


def test_a_history(file, capsys) -> None:
    """The highest peak of the latest runs counts, once."""
    fill(file / "history.sqlite3", {"t.py::test_a": [20.0, 30.0, 20.0]})
    lines = printed(capsys, "history.sqlite3").splitlines()
    assert lines[2].split() == ["40", "MiB", "30.0", "1", "**"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.json"], "missing.json cannot be read"),
        (["memory.json", "--diff"], "--diff does nothing without --write"),
        (["empty.json"], "empty.json has no test whose resident memory was measured"),
    ],
)
def test_bad_input(file, capsys, arguments, words) -> None:
    """A request that cannot be met ends in one line, with status 2."""
    empty = replace(RUN, outcomes=())
    (file / "empty.json").write_text(json.dumps(as_stored(empty)))
    assert main(["suggest", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_bad_margin(file, capsys) -> None:  # noqa: ARG001  it goes there
    """A margin is a share below 1."""
    with pytest.raises(SystemExit):
        main(["suggest", "memory.json", "--margin=300%"])
    assert "'300%' is not a share of a peak" in capsys.readouterr().err
