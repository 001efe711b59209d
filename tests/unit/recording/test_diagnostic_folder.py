"""The folder about a program in trouble: what is in it, and who can read it."""

from __future__ import annotations

import os
import stat

import pytest

from pytest_memguard.recording import diagnostic_folder as module
from pytest_memguard.recording.diagnostic_folder import write_diagnosis
from tests.support.watched_programs import sleeper
from tests.unit.report.test_watch_text import RECORD

NAMES = [
    *("connections.txt", "open-files.txt", "reason.txt", "recording.json"),
    *("smaps_rollup.txt", "stacks.txt", "tree.txt"),
]


def test_a_process_that_has_ended(tmp_path) -> None:
    """Of a process that has ended the reason and the recording are left."""
    with sleeper() as process:
        pass
    folder = write_diagnosis(tmp_path / "new", process.pid, "why", RECORD)
    assert sorted(path.name for path in folder.iterdir()) == NAMES
    assert (folder / "tree.txt").read_text() == "the process has ended\n"
    assert (folder / "reason.txt").read_text() == "why\n"


@pytest.mark.skipif(os.name != "posix", reason="modes are those of Unix")
def test_modes(tmp_path) -> None:
    """Whatever the umask, only the user can read it; each has a folder of its own."""
    before = os.umask(0)
    try:
        folders = {write_diagnosis(tmp_path, os.getpid(), "why", RECORD) for _ in range(3)}
    finally:
        os.umask(before)
    assert len(folders) == 3
    for folder in folders:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


@pytest.mark.parametrize(
    ("script", "words"),
    [
        pytest.param("echo stack of $3", "stack of", id="works"),
        pytest.param("echo no >&2; exit 1", "no\n", id="fails"),
        pytest.param("exec /bin/sleep 9", "timed out", id="hangs"),
    ],
)
def test_stacks(tmp_path, monkeypatch, script, words) -> None:
    """The output of py-spy is kept, whether it works or not; the wait for it has an end."""
    program = tmp_path / "py-spy"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(module, "_PATIENCE_SECONDS", 0.3)
    with sleeper() as process:
        folder = write_diagnosis(tmp_path / "out", process.pid, "why", RECORD)
    assert words in (folder / "stacks.txt").read_text()
    assert f"process {process.pid}:" in (folder / "tree.txt").read_text()


def test_a_folder_that_cannot_be_made(tmp_path) -> None:
    """Where no folder can be made, the caller gets an error to report."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        write_diagnosis(tmp_path / "file", os.getpid(), "why", RECORD)
