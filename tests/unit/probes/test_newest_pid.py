"""The number of the newest process, with real ones."""

from __future__ import annotations

import os
import sys

import pytest

from pytest_memguard.probes.newest_pid import NewestPid
from tests.support.child_processes import copies

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")


def test_the_newest_process_changes_with_each(monkeypatch, tmp_path):
    """A new process changes the number; a file that a container manager shows is not used."""
    newest = NewestPid()
    before = newest.read()
    with copies(1):
        assert before != newest.read()
    newest.close()
    assert newest.read() is None
    newest = NewestPid()
    os.close(newest._file)
    assert newest.read() is None
    newest.close()
    monkeypatch.setattr("pytest_memguard.probes.newest_pid._PROC", tmp_path)
    assert NewestPid().read() is None
