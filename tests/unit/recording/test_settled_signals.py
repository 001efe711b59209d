"""Tests of readings that do not depend on threads, garbage or earlier readings."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from array import array
from typing import Any

import pytest

from pytest_memguard.probes.counters import Counters
from pytest_memguard.recording import settled_signals
from pytest_memguard.recording.settled_signals import SettledSignals, forget_types
from tests.support.fresh_process import alone

HOW = pytest.mark.parametrize("settle", [False, True])


def run_in_a_thread() -> None:
    """Run something in a thread, and wait until the thread is gone altogether."""
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()
    while len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208
        time.sleep(0.001)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's thread cache")
@HOW
@alone
def test_a_block_that_a_thread_frees_is_no_growth(settle) -> None:
    """With every thread, the one that starts it has a cached block less, till it gets seven."""
    seen = SettledSignals(Counters(resources=False))
    if "C heap" not in seen.signals:
        pytest.skip("the C library does not report it")
    heap = seen.signals.index("C heap")
    row = seen.row()
    levels = [0] * 20
    for number in range(20):
        run_in_a_thread()
        seen.read(row, settle=settle)
        levels[number] = row[heap]
    late = levels[4:]
    assert max(late) - min(late) < 100, levels


@alone
def test_names_that_finalizers_ask_for_do_not_stay() -> None:
    """A collection for a reading may fill the interpreter's cache of names again."""

    class Asking:
        """Refers to itself, and looks up new names on a type."""

        def __init__(self) -> None:
            self.own = self

        def __del__(self) -> None:
            names = [b"bit_length".decode() for _ in range(200)]
            while names:
                getattr(5, names.pop())

    seen = SettledSignals(Counters(resources=False))
    blocks = seen.signals.index("blocks")
    before, after = seen.row(), seen.row()
    for row in (before, after, before):
        Asking()
        seen.read(row, settle=True)
    gc.collect()
    seen.read(before, settle=True)
    Asking()
    seen.read(after, settle=True)
    assert after[blocks] - before[blocks] < 20


@alone
def test_what_finalizers_let_go_is_not_frozen() -> None:
    """What finalizers free would be garbage of the next reading, and growth of this one."""

    class Letting:
        """Refers to itself, and drops a cycle when it is finalized."""

        def __init__(self) -> None:
            self.own = self

        def __del__(self) -> None:
            cycle: list[Any] = []
            cycle.append(cycle)

    seen = SettledSignals(Counters(resources=False), frozen=True)
    gc.collect()
    kept = [Letting()]
    gc.freeze()
    kept.clear()
    assert seen.collect_frozen()
    assert not seen.collect_frozen()
    gc.unfreeze()


@HOW
@alone
def test_a_thread_that_is_about_to_end_gets_a_moment(settle) -> None:
    """What the thread frees in that moment is no growth, to the block."""
    held: list[Any] = []
    waited = time.sleep
    settled_signals.time.sleep = lambda _: held.clear()  # type: ignore[assignment]
    try:
        seen = SettledSignals(Counters(resources=False))
        blocks = seen.signals.index("blocks")
        before, after = seen.row(), seen.row()
        for _ in range(3):
            seen.read(before, settle=settle, types=True)
            held.append([object() for _ in range(10)])
            seen.read(after, settle=settle, types=True, before=before)
    finally:
        settled_signals.time.sleep = waited
    assert after[blocks] == before[blocks], (after[blocks], before[blocks])


@alone
def test_forgetting_types_keeps_nothing() -> None:
    """Forgetting types leaves as many blocks as there were before."""
    readings = array("q", [0, 0])
    forget_types()
    gc.collect()
    readings[0] = sys.getallocatedblocks()
    forget_types()
    readings[1] = sys.getallocatedblocks()
    assert readings[1] == readings[0]
