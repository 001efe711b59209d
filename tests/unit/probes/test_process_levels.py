"""Tests of the levels of this process that have no high-water mark."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from pytest_memguard.probes import counters, own_children
from pytest_memguard.probes.process_levels import ProcessLevels
from pytest_memguard.sizes import MIB

ALL = {"worker uss", "worker fds", "worker threads", "worker children", "worker rss"}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists children")
def test_each_follows_what_it_counts() -> None:
    """Each level rises with what it counts, and falls again."""
    levels = ProcessLevels(ALL)
    assert not levels.problems
    before = {signal: read() for signal, read in levels.readers.items()}
    descriptor = os.open(os.devnull, os.O_RDONLY)
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    block = bytearray(b"x") * (64 * MIB)
    try:
        rise = {signal: read() - before[signal] for signal, read in levels.readers.items()}
        own_children.PIDS.add(child.pid)
        assert levels.readers["worker children"]() == before["worker children"]
    finally:
        own_children.PIDS.discard(child.pid)
        end.set()
        thread.join()
        child.communicate()
        os.close(descriptor)
    assert rise["worker uss"] >= 60 * MIB
    assert tuple(
        rise[name] for name in ("worker fds", "worker threads", "worker children")
    ) == (2, 1, 1)
    del block


def test_what_cannot_be_read(monkeypatch) -> None:
    """A signal that cannot be read has its reason; signals not requested are not read."""
    monkeypatch.setattr(counters.Counters, "_children", lambda *_: None)
    levels = ProcessLevels({"worker children"})
    assert not levels.readers
    assert levels.problems == {"worker children": "this system does not report it"}
