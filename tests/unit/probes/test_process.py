"""Tests of a single reading of the process: what cannot be read is left out."""

from __future__ import annotations

import os
import threading

import psutil
import pytest

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.probes import process
from pytest_memguard.probes.process import take_snapshot


@pytest.fixture
def no_psutil(monkeypatch) -> None:
    """Have psutil find no process."""

    def refuse() -> None:
        raise psutil.NoSuchProcess(os.getpid())

    monkeypatch.setattr(psutil, "Process", refuse)


def test_snapshot() -> None:
    """Everything that the system reports of a process is there."""
    snapshot = take_snapshot()
    assert snapshot.rss > "5 MB"
    assert snapshot.blocks > 1000
    assert snapshot.open_files is not None
    assert snapshot.threads >= threading.active_count()


@pytest.mark.usefixtures("no_psutil")
def test_without_psutil(monkeypatch) -> None:
    """If psutil reports nothing, resident memory is read otherwise and the rest is missing."""
    monkeypatch.setattr(process, "resident_reader", lambda: lambda: 7)
    snapshot = take_snapshot()
    assert (snapshot.rss, snapshot.uss, snapshot.open_files) == (7, None, None)
    assert threading.active_count() == snapshot.threads


@pytest.mark.usefixtures("no_psutil")
def test_without_resident_memory(monkeypatch) -> None:
    """If nothing reports resident memory, there is no snapshot, and the reason is given."""

    def refuse() -> None:
        msg = "there is no /proc"
        raise Unmeasurable(msg)

    monkeypatch.setattr(process, "resident_reader", refuse)
    with pytest.raises(Unmeasurable, match="there is no /proc"):
        take_snapshot()
