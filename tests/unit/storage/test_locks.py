"""Tests of the lock on a file, between real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager

import pytest

from pytest_memguard.storage import locks
from pytest_memguard.storage.locks import locked

HOLD = """
import sys
from pathlib import Path
from pytest_memguard.storage.locks import locked

with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_by_another(path):
    """Another process holds the lock, until it is asked to end."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.readline() == b"held\n"
        try:
            yield holder
        finally:
            holder.stdin.close()


def test_one_at_a_time(tmp_path) -> None:
    """A lock of another process cannot be taken, and the message says what to do."""
    path = tmp_path / "baseline.json"
    with (
        held_by_another(path),
        pytest.raises(TimeoutError) as caught,
        locked(path, patience=0.05),
    ):
        pass
    assert str(caught.value) == (
        f"{path} cannot be written: another run has been writing to its folder for more than "
        "0.05 s; try again once it has ended"
    )


def test_waits(tmp_path) -> None:
    """A lock that another process releases in time is taken."""
    path = tmp_path / "baseline.json"
    with held_by_another(path) as holder:
        holder.stdin.close()
        with locked(path):
            pass


@pytest.mark.skipif(os.name != "posix", reason="it needs signals")
def test_killed_holder(tmp_path) -> None:
    """A process that is killed holds no lock any more."""
    path = tmp_path / "baseline.json"
    with held_by_another(path) as holder:
        holder.kill()
        holder.wait()
        with locked(path, patience=30):
            pass


def test_let_go_after_an_error(tmp_path) -> None:
    """The lock is released if the block that needs it fails."""
    path = tmp_path / "baseline.json"
    with pytest.raises(ZeroDivisionError), locked(path):
        raise ZeroDivisionError
    with locked(path, patience=0):
        pass


def test_nothing_is_left(tmp_path) -> None:
    """The folder is made, and nothing is left in it."""
    path = tmp_path / "folder" / "baseline.json"
    with locked(path):
        pass
    assert list(path.parent.iterdir()) == []


def test_folders_that_cannot_be_locked(tmp_path, monkeypatch) -> None:
    """Where a folder cannot be locked, a file among the temporary ones is."""
    monkeypatch.setattr(locks, "_handles", lambda path: list(_only_beside(path)))
    path = tmp_path / "baseline.json"
    with locked(path):
        start = time.monotonic()
        with pytest.raises(TimeoutError), locked(path, patience=0.05):
            pass
        assert time.monotonic() - start >= 0.05


def test_where_nothing_can_be_locked(tmp_path, monkeypatch) -> None:
    """Where the system knows no locks, what is to be done is done all the same."""
    monkeypatch.setattr(locks, "_lockable", lambda _: False)
    with locked(tmp_path / "baseline.json"):
        done = True
    assert done


@pytest.mark.skipif(os.name != "posix", reason="it needs locks on folders")
def test_folder_of_temporary_files_is_not_needed(tmp_path, monkeypatch) -> None:
    """A folder can be locked though no temporary file can be made."""
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "none"))
    path = tmp_path / "baseline.json"
    with locked(path), pytest.raises(TimeoutError), locked(path, patience=0):
        pass


def _only_beside(path):
    """The second of the two things that can be locked."""
    first, second = _HANDLES(path)
    os.close(first)
    yield second


_HANDLES = locks._handles
