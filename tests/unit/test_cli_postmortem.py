"""Tests of ``memguard postmortem``: what it finds, prints and removes."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from pytest_memguard.cli import main
from pytest_memguard.model.flights import Flight
from pytest_memguard.probes.process_identity import identity_of
from pytest_memguard.storage.flight_records import header_line, start_line
from pytest_memguard.storage.run_folder import NAME, RunFolder
from tests.support.sample_values import LOST, RUN
from tests.support.stored_runs import as_stored


@pytest.fixture
def lost(tmp_path, monkeypatch):
    """A project in which a run was lost; the folder of its records."""
    monkeypatch.chdir(tmp_path)
    about = {"time": 1_796_011_200.0, "command": "pytest -n2"}
    folder = RunFolder(tmp_path / ".pytest_cache" / NAME, "run", about)
    flight = Flight(path="", worker="gw0", pid=7, level=50 << 20)
    text = header_line(flight) + start_line(9.0, 60 << 20, 61 << 20, "test_a.py::test_b")
    folder.record("gw0").write_text(text, encoding="ascii")
    os.close(folder._lock) if folder._lock is not None else None
    return folder


@pytest.mark.parametrize(
    "path",
    [
        pytest.param((), id="project"),
        pytest.param((".",), id="root"),
        pytest.param((".pytest_cache",), id="cache"),
        pytest.param((f".pytest_cache/{NAME}",), id="runs"),
        pytest.param((f".pytest_cache/{NAME}/run",), id="run"),
    ],
)
def test_finds(lost, capsys, path) -> None:  # noqa: ARG001  the project
    """A lost run is found from its project, its cache, and its own folder."""
    assert main(["postmortem", *path]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "pytest -n2 was lost, started 2026-11-30 04:00:00 UTC"
    assert lines[1].startswith("gw0 did not come to its end, and how is not known")
    assert "  running          test_a.py::test_b" in lines


def test_record(lost, capsys) -> None:
    """A record alone is enough."""
    assert main(["postmortem", str(lost.record("gw0"))]) == 1
    assert capsys.readouterr().out.startswith("gw0 did not come to its end")


def test_json(lost, capsys) -> None:
    """The same comes as JSON, with what cannot be read."""
    lost.record("gw1").write_text("x", encoding="ascii")
    assert main(["postmortem", "--json"]) == 1
    data = json.loads(capsys.readouterr().out)
    assert data["format"] == 1
    (entry,) = data["runs"]
    assert [one["running"] for one in entry["lost_workers"]] == ["test_a.py::test_b"]
    assert "no flight record" in entry["problems"][0]


def test_markdown(lost, capsys) -> None:
    """The same comes as Markdown, with what cannot be read."""
    lost.record("gw1").write_text("x", encoding="ascii")
    assert main(["postmortem", "--markdown"]) == 1
    text = capsys.readouterr().out
    assert text.startswith("## pytest -n2 was lost")
    assert "- running: `test_a.py::test_b`" in text
    assert "it is no flight record" in text


def test_known_losses(lost, capsys) -> None:
    """Losses that the run itself recorded are kept."""
    lost.keep([replace(LOST, record=str(lost.record("gw0")))])
    assert main(["postmortem"]) == 1
    text = capsys.readouterr().out
    assert "gw0 was killed by the kernel, out of memory" in text
    assert "did not come to its end" not in text


def test_none(tmp_path, monkeypatch, capsys) -> None:
    """Where no run was lost, the command says so."""
    monkeypatch.chdir(tmp_path)
    assert main(["postmortem"]) == 0
    assert "no run was lost" in capsys.readouterr().out
    assert main(["postmortem", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"] == []
    assert main(["postmortem", "--markdown"]) == 0
    assert capsys.readouterr().out == "No run was lost.\n"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        pytest.param("nowhere", "nowhere does not exist", id="missing"),
        pytest.param("a.flight", "a.flight cannot be read", id="no-record"),
    ],
)
def test_bad_input(tmp_path, monkeypatch, capsys, path, words) -> None:
    """A path that does not exist is the user's error, with status 2."""
    monkeypatch.chdir(tmp_path)
    assert main(["postmortem", path]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="identities differ")
def test_lasting_run(tmp_path, capsys) -> None:
    """The folder of a run that has not ended is refused."""
    folder = RunFolder(
        tmp_path, "run", {"pid": os.getpid(), "identity": identity_of(os.getpid())}
    )
    assert main(["postmortem", str(folder.path)]) == 2
    assert "has not ended" in capsys.readouterr().err
    folder.close(keep=False)


def test_report_and_merge(tmp_path, capsys) -> None:
    """A stored run shows its lost workers, and keeps them when it is merged."""
    for name in ("a", "b"):
        stored = json.dumps(as_stored(replace(RUN, lost=(LOST,))))
        (tmp_path / f"{name}.json").write_text(stored, encoding="utf-8")
    assert main(["report", str(tmp_path / "a.json")]) == 0
    assert "\ngw0 was killed by the kernel" in capsys.readouterr().out
    files = [str(tmp_path / name) for name in ("a.json", "b.json", "out.json")]
    assert main(["merge", *files[:2], "-o", files[2]]) == 0
    merged = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert [one["worker"] for one in merged["lost_workers"]] == ["a/gw0", "b/gw0"]
