"""Signals of other processes, read from real ones."""

from __future__ import annotations

import os
import socket
import sys
import threading

import pytest

from pytest_memguard.probes import process_counts, watched_tree
from pytest_memguard.probes.process_counts import connections_of, counts_of
from pytest_memguard.probes.watched_memory import PsutilMemory
from pytest_memguard.probes.watched_tree import WatchedTree
from pytest_memguard.sizes import MIB
from tests.support.child_processes import copies, program
from tests.support.watched_programs import sleeper

ENDED = "No such|process|^$"
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only /proc knows it")


@pytest.fixture
def own_tree():
    """The readings of this process."""
    tree = WatchedTree(os.getpid())
    yield tree
    tree.close()


def test_descriptors_and_threads(own_tree) -> None:
    """Descriptors and threads that this process opens are counted, and closed ones are not."""
    before = own_tree.read()
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(7)]
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    during = own_tree.read()
    stop.set()
    thread.join()
    for file in files:
        os.close(file)
    assert (during.fds - before.fds, during.threads - before.threads) == (7, 1)
    assert before.fds == own_tree.read().fds


def test_connections(own_tree) -> None:
    """A connection counts once at each end, and a socket that listens does not."""
    before = own_tree.read(exactly=True).connections
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert before == own_tree.read(exactly=True).connections
        with socket.create_connection(server.getsockname()):
            assert before + 2 >= own_tree.read(exactly=True).connections > before


def test_memory_and_processor_time(own_tree) -> None:
    """Resident memory rises by what is used, and processor time by what is computed."""
    before, cpu = own_tree.read().rss, own_tree.cpu_seconds
    block = bytearray(os.urandom(MIB) * 30)
    while own_tree.cpu_seconds < cpu + 0.03:
        sum(range(10_000))
        during = own_tree.read().rss
    assert 28 * MIB < during - before < 40 * MIB
    del block


@pytest.mark.slow
def test_children_count() -> None:
    """A child's memory is in that of its parent, unless children are left out."""
    tree, alone = WatchedTree(os.getpid()), WatchedTree(os.getpid(), children=False)
    others = tree.read().rss - alone.read().rss  # other tests have left servers behind
    with program(30 * MIB):
        whole, own = tree.read(exactly=True), alone.read()
        names = {use.pid for use in tree.processes()}
        assert 30 * MIB < whole.rss - own.rss - others < 60 * MIB
        assert (whole.children, own.children) == (len(names) - 1, None)
        assert whole.threads > own.threads
        tree.close()
        alone.close()


@ON_LINUX
@pytest.mark.slow
def test_what_copies_share_counts_once() -> None:
    """Forked copies of a large process use next to nothing, until they change it."""
    block = bytearray(os.urandom(MIB) * 60)
    tree = WatchedTree(os.getpid())
    before = tree.read().rss
    with copies(3):
        assert tree.read(exactly=True).rss - before < 20 * MIB
        assert tree.begun >= 3
    tree.read()
    assert tree.gone >= 3

    def change() -> None:
        block[:] = b"x" * len(block)

    with copies(2, change):
        assert 100 * MIB < tree.read(exactly=True).rss - before < 150 * MIB
    tree.close()


def test_a_process_that_ends() -> None:
    """A process that has ended cannot be read, waited for or not."""
    with sleeper() as process:
        tree = WatchedTree(process.pid)
        assert 0 < tree.read().rss < 20 * MIB
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(ProcessLookupError):
            tree.read()
        tree.close()
        process.wait()
        with pytest.raises(OSError, match=ENDED):
            WatchedTree(process.pid)
        assert counts_of(process.pid) is None
        assert connections_of(process.pid) is None


def test_a_zombie_cannot_be_read() -> None:
    """A process that has ended has no memory of its own before its parent waits for it."""
    with sleeper() as process:
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(OSError, match=ENDED):
            WatchedTree(process.pid)


@pytest.mark.slow
def test_without_proc(monkeypatch) -> None:
    """Where there is no /proc, psutil reads the same, and what is shared is left out."""
    monkeypatch.setattr(watched_tree, "memory_of", PsutilMemory)
    with program(30 * MIB) as child:
        tree = WatchedTree(child.pid)
        levels = tree.read()
        assert 30 * MIB < levels.rss < 60 * MIB
        assert [child.pid] == [use.pid for use in tree.processes()]
        assert tree.own_peak() is None
        assert tree.gaps() == []
        tree.close()
        mine = WatchedTree(os.getpid())
        assert mine.read().children >= 1
        assert [subject for subject, _ in mine.gaps()] == ["rss"]
        mine.close()
    with pytest.raises(OSError, match=ENDED):
        tree.read()


def test_what_cannot_be_read_is_named(monkeypatch) -> None:
    """A signal that the system hides is a gap with its reason, not a zero."""
    monkeypatch.setattr(watched_tree, "connections_of", lambda _: None)
    monkeypatch.setattr(process_counts, "_descriptors", lambda _: None)
    with sleeper() as process:
        tree = WatchedTree(process.pid)
        levels = tree.read()
        assert (levels.fds, levels.connections) == (None, None)
        assert [subject for subject, _ in tree.gaps()] == ["fds", "connections"]
        tree.close()
