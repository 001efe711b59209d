"""Tests of a process tree where there is no /proc, with what psutil says here."""

from __future__ import annotations

import os

import psutil
import pytest

from pytest_memguard.probes import tree_psutil
from pytest_memguard.probes.tree_psutil import PsutilTree
from tests.support.child_processes import MIB, copies, program

SIZE = 40 * MIB


def test_a_program_counts():
    """A program adds what it has for itself at least, and its resident memory at most."""
    tree = PsutilTree(os.getpid())
    before = tree.sample(exact=True)
    with program(SIZE):
        sample = tree.sample(exact=True)
        assert tree.living
    assert SIZE <= sample.below_least - before.below_least <= sample.below_most
    assert sample.least <= sample.most
    assert sample.exact
    assert tree.seen
    tree.close()
    assert not tree.living


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no copies of processes")
def test_shared_memory_is_between_the_bounds():
    """Memory that copies share counts once at least, and for each copy at most."""
    tree = PsutilTree(os.getpid())
    block = bytearray(SIZE)
    before = tree.sample(exact=True)
    with copies(2):
        sample = tree.sample(exact=True)
    assert sample.least < before.most + SIZE // 2
    assert sample.most > before.most + 2 * SIZE
    assert len(block) == SIZE


def test_hidden_processes_do_not_count():
    """A hidden process is none of the tree's."""
    with program(SIZE) as child:
        tree = PsutilTree(os.getpid(), {child.pid})
        tree.sample(exact=False)
        assert child.pid not in {process.pid for process in tree.living}


def test_processes_that_must_not_be_read_count_for_nothing(monkeypatch):
    """Where psutil is refused, a process adds nothing, and the first one counts."""

    def refuse(_: psutil.Process) -> None:
        raise psutil.AccessDenied

    tree = PsutilTree(os.getpid())
    monkeypatch.setattr(psutil.Process, "memory_full_info", refuse)
    with program(SIZE):
        sample = tree.sample(exact=True)
        assert sample.below_least == 0
        assert sample.least > 0
        monkeypatch.setattr(tree_psutil.psutil.Process, "memory_info", refuse)
        with pytest.raises(ProcessLookupError):
            tree.sample(exact=True)
        assert tree_psutil._resident(psutil.Process()) == 0


def test_a_process_that_has_ended_is_no_tree():
    """A tree cannot begin with a process that has ended."""
    with program(0) as child:
        pass
    with pytest.raises(ProcessLookupError):
        PsutilTree(child.pid)


def test_what_psutil_does_not_know():
    """Of processes that have ended, nothing is known but what the parent knows."""
    tree = PsutilTree(os.getpid())
    assert (tree.waited_faults(), tree.marks(), tree.spikes((), {})) == (0, {}, 0)
    assert tree.faults() is None
    assert not tree.forgets_children
