"""File systems that fail, for the tests of what is stored."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest


def _run(*command) -> str:
    """Run a command of the system; return its error output."""
    program = shutil.which(command[0])
    if program is None:
        return f"there is no {command[0]}"
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False)
    return done.stderr.strip() or f"status {done.returncode}" if done.returncode else ""


@pytest.fixture
def small_disk():
    """A file system of 64 KiB, where root may mount one.

    It lies outside of pytest's own folders: another run of pytest may clear those away while
    it is mounted.
    """
    folder = Path(tempfile.mkdtemp(prefix="small-disk-"))
    problem = _run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder))
    if problem:
        folder.rmdir()
        pytest.skip(f"no small disk can be made here: {problem}")
    yield folder
    assert _run("umount", str(folder)) == ""
    folder.rmdir()


@pytest.fixture
def make_read_only(small_disk):
    """Makes that file system one that cannot be written to."""

    def make():
        problem = _run("mount", "-o", "remount,ro", str(small_disk))
        if problem:
            pytest.skip(f"no disk can be made read-only here: {problem}")
        return small_disk

    return make
