"""Tests of the counters: each signal moves with what it counts, on this very process."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import mmap
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from pytest_memguard.probes import counters as module
from pytest_memguard.probes.counters import Counters

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="it needs /proc")
glibc_only = pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"),
    reason="it needs glibc",
)


@pytest.fixture(scope="module")
def counters() -> Counters:
    """Every signal there is."""
    return Counters()


@pytest.fixture
def moved(counters: Counters) -> Callable[[], dict[str, int]]:
    """How far each signal has moved since the last time."""
    before, after = counters.row(), counters.row()

    def moved() -> dict[str, int]:
        gc.collect()
        counters.read(after)
        found = {
            signal: new - old
            for signal, new, old in zip(counters.signals, after, before, strict=True)
        }
        before[:] = after
        return found

    moved()
    return moved


@linux_only
def test_all_signals_are_there(counters) -> None:
    """On Linux with CPython nothing is missing."""
    assert counters.gaps == []
    assert counters.signals == (
        "blocks",
        "C heap",
        "USS",
        "open files",
        "Python threads",
        "native threads",
        "child processes",
        "asyncio tasks",
        "uncollectable objects",
    )
    assert list(counters.resources) == [3, 4, 5, 6, 7, 8]


def test_without_resources() -> None:
    """Resources can be left out."""
    counters = Counters(resources=False)
    assert list(counters.resources) == []
    assert set(counters.signals) <= {"blocks", "C heap", "USS"}


def test_reading_is_no_growth(counters) -> None:
    """Reading again and again keeps nothing."""
    row, first = counters.row(), counters.row()
    for each in (first, row):
        for _ in range(300):
            counters.read(each)
    assert abs(row[0] - first[0]) <= 5
    assert list(row[3:]) == list(first[3:])


def test_blocks(moved) -> None:
    """Every small object is a block."""
    kept = [object() for _ in range(1000)]
    assert 1000 <= moved()["blocks"] <= 1060
    kept.clear()
    assert -1060 <= moved()["blocks"] <= -990


@glibc_only
def test_malloc(moved) -> None:
    """Memory from malloc is seen to the byte, in chunks of sixteen."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.free.argtypes = [ctypes.c_void_p]
    blocks = [libc.malloc(1000) for _ in range(100)]
    assert 80_000 <= moved()["C heap"] <= 120_000
    for block in blocks:
        libc.free(block)
    assert moved()["C heap"] <= -80_000


@glibc_only
def test_a_large_block_of_malloc(moved) -> None:
    """Blocks that malloc maps on their own count, too."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.free.argtypes = [ctypes.c_void_p]
    block = libc.malloc(64 << 20)
    assert moved()["C heap"] >= 64 << 20
    libc.free(block)
    assert moved()["C heap"] <= -(64 << 20)


def test_a_mapping(moved) -> None:
    """Mapped memory shows once its pages are used, and only in the pages."""
    area = mmap.mmap(-1, 8 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    assert moved()["USS"] < 1 << 20
    area.write(b"x" * (8 << 20))
    found = moved()
    assert found["USS"] >= 7 << 20
    assert found["C heap"] < 1 << 20
    area.close()
    assert moved()["USS"] <= -(7 << 20)


def test_open_files(moved) -> None:
    """Every descriptor counts."""
    reader, writer = os.pipe()
    assert moved()["open files"] == 2
    os.close(reader)
    os.close(writer)
    assert moved()["open files"] == -2


def test_threads(moved) -> None:
    """A Python thread is a native thread as well."""
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    found = moved()
    assert (found["Python threads"], found["native threads"]) == (1, 1)
    stop.set()
    thread.join()


@linux_only
def test_child_processes(moved) -> None:
    """A child counts until it has been waited for, whichever thread started it."""
    reader, writer = os.pipe()
    pids: list[int] = []

    def spawn() -> None:
        pids.append(os.posix_spawn("/bin/cat", ["cat"], os.environ, file_actions=actions))

    actions = [(os.POSIX_SPAWN_DUP2, reader, 0), (os.POSIX_SPAWN_CLOSE, writer)]
    spawn()
    thread = threading.Thread(target=spawn)
    thread.start()
    thread.join()
    found = moved()["child processes"]
    os.close(writer)
    os.close(reader)
    for pid in pids:
        os.waitpid(pid, 0)
    assert found == 2
    assert moved()["child processes"] == -2


def test_tasks(moved) -> None:
    """A task counts until it is done, in whatever loop it is."""

    async def sleep() -> None:
        """Let the loop go round once."""
        await asyncio.sleep(0)

    with running_loop() as loop:
        task = loop.create_task(sleep())
        assert moved()["asyncio tasks"] == 1
        loop.run_until_complete(task)
        assert moved()["asyncio tasks"] == -1


@contextmanager
def running_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop that is closed at the end."""
    loop = asyncio.new_event_loop()
    try:
        yield loop
    finally:
        loop.close()


def test_garbage(moved) -> None:
    """Garbage that the collector could not free counts; a cycle that it frees does not."""
    gc.garbage.append([1])
    assert moved()["uncollectable objects"] == 1
    gc.garbage.clear()
    cycle: list[object] = []
    cycle.append(cycle)
    del cycle
    assert moved()["uncollectable objects"] == -1


def test_no_blocks(monkeypatch) -> None:
    """Where the interpreter does not count its blocks, that is a gap and no signal."""
    monkeypatch.setattr(sys, "getallocatedblocks", lambda: 0)
    counters = Counters()
    assert "blocks" not in counters.signals
    assert [gap.subject for gap in counters.gaps] == ["leak check: blocks"]
    row = counters.row()
    counters.read(row)
    assert len(row) == len(counters.signals)


def test_no_heap_info(monkeypatch) -> None:
    """If the C library does not report it, there is a gap and no signal."""
    import psutil

    monkeypatch.delattr(psutil, "heap_info")
    counters = Counters()
    assert "C heap" not in counters.signals
    assert [gap.subject for gap in counters.gaps] == ["leak check: C heap"]


def test_no_list_of_children(monkeypatch) -> None:
    """A kernel that does not list children is a gap."""

    def refuse(path: str) -> bytes:
        raise FileNotFoundError(path)

    monkeypatch.setattr(module, "read_file", refuse)
    counters = Counters()
    assert "child processes" not in counters.signals
    assert [gap.subject for gap in counters.gaps] == ["leak check: child processes"]


class WithoutAnswers:
    """What `psutil.Process` is where there is no /proc."""

    def __init__(self) -> None:
        """Refuse."""
        import psutil

        raise psutil.NoSuchProcess(os.getpid())


class WithoutAccess:
    """What it is where a process must not read its own files."""

    def __getattr__(self, name: str) -> object:
        import psutil

        raise psutil.AccessDenied(os.getpid())


@pytest.mark.parametrize("process", [WithoutAnswers, WithoutAccess])
def test_no_proc(monkeypatch, process) -> None:
    """Without /proc each signal that needs it is a gap, and all others are read."""
    import psutil

    def refuse(*_: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(psutil, "Process", process)
    monkeypatch.setattr(module, "ProcFile", refuse)
    monkeypatch.setattr(module, "read_file", refuse)
    monkeypatch.setattr(Counters, "_entries", lambda *_: None)
    counters = Counters()
    row = counters.row()
    counters.read(row)
    missing = {"USS", "open files", "native threads", "child processes"}
    assert {f"leak check: {signal}" for signal in missing} == {
        gap.subject for gap in counters.gaps
    }
    assert missing.isdisjoint(counters.signals)
    assert {"blocks", "Python threads"} <= set(counters.signals)
    # workers of one run report the same gaps in the same words
    assert not [gap for gap in counters.gaps if str(os.getpid()) in gap.reason]
