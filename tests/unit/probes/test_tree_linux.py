"""Tests of what a process and its descendants use together, with real processes."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pytest_memguard.probes import tree_process
from pytest_memguard.probes.tree_linux import LinuxTree
from pytest_memguard.probes.tree_process import TreeProcess
from tests.support.child_processes import MIB, copies, program

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
SIZE = 40 * MIB
NEAR = 6 * MIB


@pytest.fixture
def tree():
    """The tree of this process, without the children that other tests have left behind."""
    others = LinuxTree(os.getpid())
    others.sample(exact=False)
    found = LinuxTree(os.getpid(), others.below)
    others.close()
    yield found
    found.close()


def test_a_program_counts_as_a_whole(tree):
    """A program that the process starts adds all that it uses."""
    before = tree.sample(exact=True)
    with program(SIZE):
        sample = tree.sample(exact=True)
        rough = tree.sample(exact=False)
    assert sample.exact
    assert SIZE <= sample.least - before.most <= SIZE + 3 * NEAR
    assert SIZE <= sample.below_least <= SIZE + 3 * NEAR
    assert SIZE <= rough.below_least <= SIZE + 3 * NEAR


def test_what_copies_share_counts_once(tree):
    """Four copies of a process add nothing as long as they change nothing."""
    block = bytearray(SIZE)
    before = tree.sample(exact=True)
    with copies(4):
        sample = tree.sample(exact=True)
        rough = tree.sample(exact=False)
    assert abs(sample.least - before.most) < 2 * NEAR
    assert sample.below_least < 2 * NEAR
    assert rough.below_least < NEAR
    assert rough.least <= before.most
    assert len(block) == SIZE


def test_what_a_copy_adds_counts(tree):
    """A copy of the process adds what it allocates itself, also by the counts of pages."""
    with copies(1):
        before, rough_before = tree.sample(exact=True), tree.sample(exact=False)
    with copies(1, lambda: bytearray(SIZE)):
        sample = tree.sample(exact=True)
    assert abs(sample.least - before.most - SIZE) < NEAR
    assert abs(sample.below_least - before.below_least - SIZE) < NEAR
    assert rough_before.below_least < NEAR


def test_a_process_that_is_a_copy_itself() -> None:
    """Growth in a process's own copy counts, though it shares its start with others."""
    block = bytearray(b"x") * (2 * SIZE)
    pid = os.fork()
    if not pid:
        found = False
        try:
            tree = LinuxTree(os.getpid())
            with copies(1, lambda: bytearray(b"x") * SIZE):
                sample = tree.sample(exact=True)
            above = sample.least - tree.root.anonymous
            found = min(sample.below_least, above) >= SIZE - NEAR
        finally:
            os._exit(0 if found else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert len(block) == 2 * SIZE


def test_the_counts_of_pages_show_growth_of_a_copy(tree):
    """Memory that a copy allocates after it was first seen is in the quick sample."""
    ready, write = os.pipe()
    wait, go = os.pipe()
    pid = os.fork()
    if not pid:
        os.read(wait, 1)
        block = bytearray(SIZE)
        os.write(write, b"x")
        os.read(wait, 1)
        os._exit(len(block) & 1)
    before = tree.sample(exact=False)
    os.write(go, b"x")
    os.read(ready, 1)
    after = tree.sample(exact=False)
    os.write(go, b"x")
    os.waitpid(pid, 0)
    for descriptor in (ready, write, wait, go):
        os.close(descriptor)
    assert abs(after.least - before.least - SIZE) < NEAR


def test_shared_memory_counts_once(tree):
    """A block that parent and children have mapped counts once, whoever wrote to it."""
    before = tree.sample(exact=True)
    with mmap.mmap(-1, SIZE) as block:
        block[:] = b"x" * SIZE

        def read() -> None:
            assert block[:: mmap.PAGESIZE].count(b"x") == SIZE // mmap.PAGESIZE

        with copies(3, read):
            sample = tree.sample(exact=True)
    assert SIZE - NEAR < sample.least - before.most < SIZE + 2 * NEAR


def test_never_too_much_while_processes_come_and_go(tree):
    """While children start and end as fast as they can, what is shared never counts twice."""
    block = bytearray(2 * SIZE)
    before = tree.sample(exact=True).most
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            subprocess.run(["/bin/true"], check=True)
            pid = os.fork()
            if not pid:
                os._exit(0)
            os.waitpid(pid, 0)

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        samples = [tree.sample(exact=bool(number % 2)) for number in range(40)]
    finally:
        stop.set()
        thread.join()
    assert (
        max(sample.least for sample in samples) < before + SIZE // 2
    )  # each writes to a little of it
    assert tree.seen
    assert len(block) == 2 * SIZE


def test_a_child_that_borrows_memory_has_none(monkeypatch, tree):
    """Between vfork and exec a child runs in its parent's memory, and adds nothing."""
    monkeypatch.setattr(tree_process, "_waits", lambda _: True)
    with copies(1):
        sample = tree.sample(exact=True)
    (child,) = tree.below.values()
    assert child.borrows
    assert 0 == sample.below_least == child.resident


def test_a_caller_of_vfork_waits():
    """The parent of a child after vfork is seen to wait; a process that runs is not."""
    code = (
        "import ctypes, os\n"
        "libc = ctypes.CDLL(None)\n"
        "libc.vfork.restype = ctypes.c_int\n"
        "os.write(1, b'x')\n"
        "if libc.vfork() == 0:\n"
        "    libc.usleep(300000)\n"
        "    libc._exit(0)\n"
    )
    with subprocess.Popen([sys.executable, "-S", "-c", code], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.read(1)
        seen = any(tree_process._waits(child.pid) for _ in range(2000))
        child.kill()
    assert seen
    assert not tree_process._waits(os.getpid())


def test_a_descendant_stays_one_without_its_parent(tree):
    """A child whose parent ends still belongs to the tree; a sampler that is hidden never."""
    ready, write = os.pipe()
    wait, end = os.pipe()
    parent = os.fork()
    if not parent:
        child = os.fork()
        if not child:
            os.close(end)
            os.write(write, b"%d" % os.getpid())
            os.read(wait, 1)
            os._exit(0)
        os.close(end)
        os.read(wait, 1)
        os._exit(0)
    pid = int(os.read(ready, 20))
    hidden = LinuxTree(os.getpid(), {parent})
    hidden.sample(exact=False)
    tree.sample(exact=False)
    assert {parent, pid} == set(tree.below)
    assert not {parent, pid} & set(hidden.below)
    os.kill(parent, 9)
    os.waitpid(parent, 0)
    tree.sample(exact=False)
    assert {pid} == set(tree.below)
    os.close(end)
    for descriptor in (ready, write, wait):
        os.close(descriptor)
    hidden.close()


def test_faults_of_children_that_have_ended(tree):
    """Page faults of ended children are in the kernel's count, waited for or not."""
    tree.sample(exact=False)
    before = tree.waited_faults()
    pid = os.fork()
    if not pid:
        block = bytearray(SIZE)
        os._exit(len(block) & 1)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    tree.sample(exact=False)
    as_zombie = tree.waited_faults() - before
    assert not tree.living
    assert [process.is_zombie for process in tree.below.values()] == [True]
    os.waitpid(pid, 0)
    tree.sample(exact=False)
    waited = tree.waited_faults() - before
    assert as_zombie > SIZE // mmap.PAGESIZE // 2
    assert as_zombie <= waited


def test_own_marks_show_what_samples_have_missed(tree):
    """A program's own high-water mark shows what it had before it was first seen."""
    code = f"import sys; bytearray({SIZE}); print(flush=True); sys.stdin.read()"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe) as child:
        assert child.stdout is not None
        child.stdout.readline()
        tree.sample(exact=False)
        spikes = tree.spikes(tree.living, {})
        nothing_new = tree.spikes(tree.living, tree.marks())
        child.communicate()
    assert SIZE - NEAR < spikes < SIZE + NEAR
    assert nothing_new == 0


def test_a_process_may_be_hidden_later(tree):
    """A process that is hidden while it lives does not count any more, nor what it starts."""
    with program(SIZE) as child:
        assert tree.sample(exact=True).below_least > SIZE - NEAR
        tree.hide([child.pid])
        tree.hide([child.pid])
        assert not tree.sample(exact=True).below_least
        assert not tree.living


def test_page_faults_of_the_living(tree):
    """Memory that living processes touch is in their page faults."""
    tree.sample(exact=False)
    before = tree.faults()
    with program(SIZE):
        tree.sample(exact=False)
        touched = tree.faults() - before
    assert touched > SIZE // mmap.PAGESIZE // 2


def test_ended_children_are_named_once(tree):
    """A child that has ended is among the ended after one sample, and then forgotten."""
    with copies(1):
        tree.sample(exact=False)
        assert not tree.ended
    tree.sample(exact=False)
    assert len(tree.ended) == 1
    assert tree.seen == 1
    tree.sample(exact=False)
    assert not tree.ended


def test_unreadable_processes_have_bounds(monkeypatch, tree):
    """A process of which nothing but its size can be read gives the sum two bounds."""
    monkeypatch.setattr(TreeProcess, "shares", lambda _: None)
    with program(SIZE):
        sample = tree.sample(exact=True)
    assert SIZE <= sample.below_least <= SIZE + NEAR
    assert sample.below_least < sample.below_most
    assert sample.least < sample.most


def test_an_unreadable_one_among_others_counts_for_what_is_its_own(monkeypatch, tree):
    """Where one process cannot be read, the others count for what they share with none."""
    block = bytearray(SIZE)
    real = TreeProcess.shares
    with copies(1) as (pid,):
        whole = tree.sample(exact=True)
        monkeypatch.setattr(
            TreeProcess, "shares", lambda process: None if process.pid == pid else real(process)
        )
        sample = tree.sample(exact=True)
    assert sample.least <= whole.least + NEAR
    assert sample.below_least < NEAR
    assert sample.most > whole.most
    assert len(block) == SIZE


def test_memory_of_a_process_that_must_not_be_read(monkeypatch):
    """A process that the kernel refuses to show is unknown, not nothing."""

    def refuse(_: Path) -> bytes:
        raise PermissionError

    process = TreeProcess(os.getpid(), is_root=True)
    assert process.shares() is not None
    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert process.shares() is None
    process.close()


def test_unstable_samples_are_low_and_say_so(monkeypatch, tree):
    """If processes end whenever they are read, only what is private counts."""
    block = bytearray(SIZE)
    with copies(2):
        stable = tree.sample(exact=True)
        monkeypatch.setattr(TreeProcess, "is_same", lambda _: False)
        sample = tree.sample(exact=True)
    assert stable.exact
    assert not sample.exact
    assert sample.least <= stable.most
    assert len(block) == SIZE


def test_a_process_that_has_ended_is_no_tree():
    """A tree cannot begin with a process that has ended; one that ends raises."""
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
    with pytest.raises(OSError, match="such"):
        LinuxTree(pid)
    with program(0) as child:
        tree = LinuxTree(child.pid)
        tree.sample(exact=True)
    with pytest.raises(ProcessLookupError):
        tree.sample(exact=False)
    tree.close()


def test_ignored_children_leave_no_trace(tree):
    """A process that ignores SIGCHLD is known to do so."""
    assert not tree.forgets_children
    code = (
        "import signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); "
        "print(flush=True); sys.stdin.read()"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-S", "-c", code], stdin=pipe, stdout=pipe) as child:
        assert child.stdout is not None
        child.stdout.readline()
        other = LinuxTree(child.pid)
        assert other.forgets_children
        other.close()
        child.communicate()
