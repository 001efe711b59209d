"""Tests of the folders of flight records: which runs are lost, and what is removed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_memguard.model.flights import Flight
from pytest_memguard.storage.flight_folders import (
    lost_runs,
    prune,
    prune_abandoned,
    read_run_folder,
)
from pytest_memguard.storage.flight_records import header_line
from pytest_memguard.storage.run_folder import NAME, RunFolder, mark_reported
from tests.support.sample_values import LOST

HEADER = header_line(Flight(path="", worker="gw0", pid=7))


def dead(_) -> bool:
    """No process exists."""
    return False


@pytest.fixture
def parent(tmp_path) -> Path:
    """The folder of all runs."""
    return tmp_path / NAME


def run(parent, name, time=1.0) -> RunFolder:
    """A run with the record of one worker."""
    folder = RunFolder(parent, name, {"pid": 7, "time": time})
    folder.record("gw0").write_text(HEADER, encoding="ascii")
    return folder


def kill(folder) -> None:
    """Let a run end as a killed process does."""
    if folder._lock is not None:
        os.close(folder._lock)


def test_all_went_well(parent) -> None:
    """A run without losses leaves nothing, not even the folder of all runs."""
    run(parent, "a").close(keep=False)
    assert not parent.exists()


def test_another_run_stays(parent) -> None:
    """The folder of all runs stays as long as there is another run."""
    first, second = run(parent, "a"), run(parent, "b")
    first.close(keep=False)
    assert [path.name for path in parent.iterdir()] == ["b"]
    second.close(keep=False)


def test_killed(parent) -> None:
    """The records of a killed run are found, the oldest run first."""
    for name, time in (("a", 2.0), ("b", 1.0)):
        kill(run(parent, name, time))
    runs = lost_runs(parent, dead)
    assert [one.path.name for one in runs] == ["b", "a"]
    assert [flight.pid for flight in runs[0].flights] == [7]
    assert (runs[0].problems, runs[0].reported) == ((), False)
    mark_reported(runs[0].path)
    assert [one.reported for one in lost_runs(parent, dead)] == [True, False]
    assert [one.path.name for one in lost_runs(parent, dead, with_reported=False)] == ["a"]


def test_lost_workers(parent) -> None:
    """A run that has lost a worker keeps its record and what is known, and no other record."""
    folder = run(parent, "a")
    folder.record("gw1").write_text(HEADER, encoding="ascii")
    lost = replace(LOST, record=str(folder.record("gw0")))
    folder.keep([lost])
    folder.forget([lost])
    folder.close(keep=True)
    (found,) = lost_runs(parent, dead)
    assert ((lost,), (), True) == (found.lost, found.flights, found.reported)
    assert sorted(path.name for path in found.path.iterdir()) == [
        "gw0.flight",
        "lost.json",
        "run.json",
        "told",
    ]


def test_alive(parent) -> None:
    """A run whose process exists is not lost."""
    folder = run(parent, "a")
    asked = []
    assert lost_runs(parent, lambda about: asked.append(about["pid"]) is None) == []
    assert asked == [7]
    folder.close(keep=False)


@pytest.mark.skipif(os.name != "posix", reason="there is no lock")
def test_locked(parent) -> None:
    """A run that another process has locked is not lost, even if its number is not seen."""
    source = (
        "import sys, pathlib\n"
        "from pytest_memguard.storage.run_folder import RunFolder\n"
        "folder = RunFolder(pathlib.Path(sys.argv[1]), 'a', {})\n"
        "print(flush=True)\n"
        "input()\n"
    )
    command = [sys.executable, "-c", source, str(parent)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:
        process.stdout.readline()
        assert lost_runs(parent, dead) == []
        process.kill()
    assert [one.path.name for one in lost_runs(parent, dead)] == ["a"]


@pytest.mark.parametrize(
    ("worker", "name"), [("", "main"), ("gw0", "gw0"), ("../a b", ".._a_b")]
)
def test_names_of_records(parent, worker, name) -> None:
    """The record of a worker with any name is in the folder of the run."""
    folder = run(parent, "a")
    assert folder.record(worker) == folder.path / f"{name}.flight"
    folder.close(keep=False)


def test_being_made(parent) -> None:
    """A folder that is being made or removed is no lost run."""
    (parent / ".a").mkdir(parents=True)
    assert lost_runs(parent, dead) == []


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        pytest.param("run.json", "{", "run.json cannot be read", id="broken"),
        pytest.param("run.json", '{"format": 9}', "has format 9", id="newer"),
        pytest.param("run.json", "[]", "has format None", id="other"),
        pytest.param("lost.json", '{"format": 1, "lost_workers": [{}]}', "KeyError", id="keys"),
        pytest.param("lost.json", '{"format": 1, "lost_workers": 5}', "TypeError", id="kind"),
        pytest.param("gw1.flight", "x", "it is no flight record", id="record"),
    ],
)
def test_unreadable(parent, name, text, words) -> None:
    """A file that cannot be read is named, and everything else is read."""
    folder = run(parent, "a")
    kill(folder)
    (folder.path / name).write_text(text, encoding="ascii")
    (found,) = lost_runs(parent, dead)
    assert words in found.problems[0]
    assert name in found.problems[0]
    assert [flight.pid for flight in found.flights] == [7]
    assert found == read_run_folder(folder.path)


def test_prune(parent) -> None:
    """Only the latest runs are kept, apart from unreadable ones and those not yet reported."""
    for number in range(6):
        kill(run(parent, f"run-{number}", float(number)))
        if number != 1:
            mark_reported(parent / f"run-{number}")
    (parent / "run-0" / "gw9.flight").write_text("x", encoding="ascii")
    prune(parent, 2)
    assert sorted(p.name for p in parent.iterdir()) == ["run-0", "run-1", "run-4", "run-5"]


@pytest.mark.parametrize(
    ("root", "alive", "stays"), [("gone", 0, False), ("", 0, True), ("gone", 1, True)]
)
def test_abandoned(tmp_path, root, alive, stays) -> None:
    """Among temporary files, records of projects that are gone are removed."""
    ours, other = (tmp_path / f"{NAME}-{os.getuid()}-1-{n}" for n in "ab")
    foreign = tmp_path / f"{NAME}-{os.getuid() + 1}-1-c"
    for parent in (ours, other, foreign):
        about = {
            "pid": 7,
            "root": str(tmp_path / root) if parent is not ours else str(tmp_path),
        }
        kill(RunFolder(parent, "a", about))
    prune_abandoned(ours, lambda _: bool(alive))
    assert stays == other.exists()
    assert ours.exists()
    assert foreign.exists()


def test_about(parent) -> None:
    """run.json names the project of the folder, from the first moment on."""
    folder = run(parent, "a")
    assert json.loads((folder.path / "run.json").read_text(encoding="ascii")) == {
        "format": 1,
        "pid": 7,
        "time": 1.0,
    }
    kill(folder)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="files have no owners")
def test_folder_of_another_user(tmp_path) -> None:
    """Among temporary files, a link in place of the folder is refused."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "memguard-flight-0-1-2").symlink_to("elsewhere")
    with pytest.raises(PermissionError):
        RunFolder(tmp_path / "memguard-flight-0-1-2", "a", {})
    assert list((tmp_path / "elsewhere").iterdir()) == []
