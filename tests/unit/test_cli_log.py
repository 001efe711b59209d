"""Tests of ``memguard log``: what it takes for the last run, the target and the commit."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace

import pytest

from pytest_memguard.cli import main
from pytest_memguard.model.baselines import Baseline, BaselineEntry, EnvironmentKey
from pytest_memguard.model.measurements import PhaseReading
from pytest_memguard.model.results import Outcome
from pytest_memguard.sizes import MIB
from pytest_memguard.storage.baseline import write_baseline
from pytest_memguard.storage.experiments import COLUMNS
from tests.support.sample_values import RUN, heap, rss
from tests.support.stored_runs import as_stored

PLACE = EnvironmentKey(
    system="Linux", machine="x86_64", implementation="CPython", python="3.12"
)
LOG = ["log", "--tsv", "log.tsv", "--description"]


def measured(name, mib, result="passed") -> Outcome:
    """A test with a peak of resident memory, and half of that on the heap."""
    call = PhaseReading(
        name="call", seconds=0.25, level=MIB, growth=0, peaks=(rss(mib), heap(mib / 2))
    )
    return Outcome(nodeid=name, result=result, phases=(call,))


def store(*outcomes, name="memory.json", **more) -> None:
    """Write a run as --mem-json would."""
    run = replace(RUN, outcomes=outcomes, **more)
    with open(name, "w", encoding="utf-8") as file:  # noqa: PTH123  in the folder of the test
        json.dump(as_stored(run), file)


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """A folder with a baseline and a run that uses less; git does not look above it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    for name in ("GITHUB_SHA", "CI_COMMIT_SHA"):
        monkeypatch.delenv(name, raising=False)
    entries = {
        "t.py::test_large": BaselineEntry(peak=50 * MIB, growth=0, readings=5),
        "t.py::test_small": BaselineEntry(peak=9 * MIB, growth=0, readings=5),
    }
    on_heap = {"t.py::test_small": BaselineEntry(peak=4 * MIB, growth=0, readings=5)}
    write_baseline(
        tmp_path / ".memguard/baseline.json",
        Baseline(environments={PLACE: entries, replace(PLACE, metric="heap"): on_heap}),
    )
    store(measured("t.py::test_large", 30), measured("t.py::test_small", 9))
    return tmp_path


def line(project) -> dict[str, str]:
    """The last line of the log, by column."""
    lines = (project / "log.tsv").read_text(encoding="utf-8").splitlines()
    return dict(zip(COLUMNS, lines[-1].split("\t"), strict=True))


def test_keep(project, capsys) -> None:
    """The last run is compared with the baseline, and a line says what came of it."""
    assert main([*LOG, "stream the rows"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == (
        "KEEP: t.py::test_large: 20.0 MiB less than 50.0 MiB on record (now 30.0 MiB)"
    )
    assert printed[1] == "no commit in the log: the tests are in no git repository"
    assert printed[2] == "experiment 1 in log.tsv"
    assert line(project) == {
        "commit": "",
        "target_test": "t.py::test_large",
        "target_mb": "30.00",
        "peak_memory_mb": "180.00",
        "total_allocs": "",
        "elapsed_s": "0.500",
        "tests_passed": "2",
        "tests_failed": "0",
        "status": "KEEP",
        "description": "stream the rows",
    }


def test_several_experiments(project, capsys) -> None:
    """Every experiment has a line of its own, under one header."""
    for description in ("one", "two", "three"):
        assert main([*LOG, description]) == 0
    assert "experiment 3 in log.tsv" in capsys.readouterr().out
    lines = (project / "log.tsv").read_text(encoding="utf-8").splitlines()
    assert [text.split("\t")[-1] for text in lines] == ["description", "one", "two", "three"]


@pytest.mark.parametrize(
    ("outcomes", "status", "failed"),
    [
        pytest.param([measured("t.py::test_large", 47)], "RE-RUN", "0", id="little-less"),
        pytest.param([measured("t.py::test_large", 55)], "DISCARD", "0", id="more"),
        pytest.param(
            [measured("t.py::test_large", 5), measured("t.py::test_b", 1, "failed")],
            "DISCARD",
            "1",
            id="another-failed",
        ),
        pytest.param(
            [measured("t.py::test_large", 5, "error")], "DISCARD", "1", id="target-failed"
        ),
        pytest.param(
            [measured("t.py::test_large", 5), measured("t.py::test_b", 1, "xfailed")],
            "KEEP",
            "0",
            id="expected-failure",
        ),
    ],
)
def test_status(project, outcomes, status, failed) -> None:
    """The status is the rule's, and failed tests are counted."""
    store(*outcomes)
    assert main([*LOG, "try"]) == 0
    assert (status, failed) == (line(project)["status"], line(project)["tests_failed"])


@pytest.mark.parametrize(
    ("arguments", "target", "mib", "status"),
    [
        pytest.param(
            ["--target", "t.py::test_small"], "test_small", "9.00", "DISCARD", id="id"
        ),
        pytest.param(["--target", "_small"], "test_small", "9.00", "DISCARD", id="part"),
        pytest.param(["--metric", "heap"], "test_small", "4.50", "DISCARD", id="metric"),
        pytest.param(["--keep-mib", "25"], "test_large", "30.00", "RE-RUN", id="more"),
        pytest.param(["--keep-mib", "0.5"], "test_large", "30.00", "KEEP", id="less"),
    ],
)
def test_options(project, arguments, target, mib, status) -> None:
    """Target, metric and the saving that counts can be set."""
    assert main([*LOG, "try", *arguments]) == 0
    found = line(project)
    assert (f"t.py::{target}", mib, status) == (
        found["target_test"],
        found["target_mb"],
        found["status"],
    )


def test_two_runs(project) -> None:
    """Two files of --mem-json can be compared, without a baseline."""
    store(measured("t.py::test_large", 80), name="before.json")
    store(measured("t.py::test_large", 70), name="after.json")
    assert main([*LOG, "try", "--run", "after.json", "--baseline", "before.json"]) == 0
    assert (line(project)["target_mb"], line(project)["status"]) == ("70.00", "KEEP")


def test_descriptions(project) -> None:
    """Tabs and line breaks in a description do not break the line."""
    assert main([*LOG, " one\ttwo\nthree\\ "]) == 0
    assert line(project)["description"] == "one\\ttwo\\nthree\\\\"


def test_commit(project, capsys) -> None:
    """The commit is the one that is checked out; a plus says that files were changed."""
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    (project / "code.py").write_text("", encoding="utf-8")
    for words in (["init", "-q"], ["add", "code.py"], ["commit", "-qm", "first"]):
        subprocess.run([*git, *words], check=True)
    name = subprocess.check_output(["git", "rev-parse", "HEAD"], text=True)[:12]  # noqa: S607
    assert main([*LOG, "one"]) == 0
    assert name == line(project)["commit"]
    (project / "code.py").write_text("pass", encoding="utf-8")
    assert main([*LOG, "two"]) == 0
    assert f"{name}+" == line(project)["commit"]
    assert "no commit" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        pytest.param(["--run", "none.json"], "none.json cannot be read: ", id="no-run"),
        pytest.param(
            ["--baseline", "none.json"], "none.json cannot be read: ", id="no-baseline"
        ),
        pytest.param(
            ["--metric", "python"],
            ".memguard/baseline.json has no numbers for Linux x86_64, CPython 3.12, python, "
            "only for: Linux x86_64, CPython 3.12, heap, Linux x86_64, CPython 3.12, rss",
            id="other-environment",
        ),
        pytest.param(
            ["--target", "test_"],
            "--target 'test_' means 2 tests (t.py::test_large, t.py::test_small): write the "
            "node id of one in memory.json",
            id="two-targets",
        ),
        pytest.param(["--target", "x"], "--target 'x' is no test of it: ", id="no-target"),
        pytest.param(
            ["--target", "test_large", "--metric", "heap"],
            "t.py::test_large is not in .memguard/baseline.json; pytest --mem-save puts it",
            id="not-on-record",
        ),
        pytest.param(["--run", "other.json"], "no test of other.json is on", id="no-target"),
    ],
)
def test_bad_input(project, capsys, arguments, problem) -> None:
    """Input that cannot be compared ends in status 2 with one line; the log stays as it is."""
    store(measured("t.py::test_new", 3), name="other.json")
    assert main([*LOG, "try", *arguments]) == 2
    output, error = capsys.readouterr()
    assert output == ""
    assert error.startswith(f"memguard: {problem}")
    assert error.count("\n") == 1
    assert not (project / "log.tsv").exists()


def test_a_log_that_cannot_be_written(project, capsys) -> None:
    """A log that is a folder is named."""
    (project / "log.tsv").mkdir()
    assert main([*LOG, "try"]) == 2
    assert capsys.readouterr().err.startswith("memguard: log.tsv could not be written: ")


@pytest.mark.parametrize("number", ["much", "-1", "nan", "inf", "1_0", "\uff15"])
def test_bad_threshold(capsys, number) -> None:
    """A threshold that is no number is refused with what would be right."""
    with pytest.raises(SystemExit) as caught:
        main([*LOG, "try", f"--keep-mib={number}"])
    assert caught.value.code == 2
    assert f"'{number}' is not a number of MiB: write 5 or 0.5" in capsys.readouterr().err
