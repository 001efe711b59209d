"""What the tests of a history do: each operation is a function of a few plain values."""

from __future__ import annotations

import gc
import importlib.util
import mmap
import os
import py_compile
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

MIB = 1 << 20
PAGE = mmap.PAGESIZE
ENTRY = 16 * 1024
"""Bytes of one entry of a cache."""
SIEVE = 50
"""One object in so many stays when many are thinned out."""
_LIST = 64  # bytes of an empty list with its place in the list that holds it
_BLOCK = 712  # bytes of bytes(667), likewise: too large for pymalloc, so on the C heap
_ROWS = 20_000  # texts in the table of one imported module, about 2 MiB

KEPT: dict[str, list[Any]] = {}
CACHE: dict[int, bytes] = {}


class IntendedError(AssertionError):
    """A test of a history fails where it is to fail."""


# Payloads: one way to use memory each


def _mapped(size: int) -> mmap.mmap:
    area = mmap.mmap(-1, size)
    for offset in range(0, size, PAGE):
        area[offset] = 1
    return area


def _grown(size: int) -> list[None]:
    """A list that reallocates as it grows, as ``append`` does."""
    rows: list[None] = []
    chunk = [None] * 512
    for _ in range(size // 4096):
        rows.extend(chunk)
    return rows


def _shrunk(size: int) -> bytearray:
    """A block that has been large and is reallocated to be small."""
    data = bytearray(size)
    del data[64:]
    return data


PAYLOADS: dict[str, Callable[[int], Any]] = {
    "bytearray": bytearray,
    "lists": lambda size: [[] for _ in range(size // _LIST)],
    "blocks": lambda size: [bytes(667) for _ in range(size // _BLOCK)],
    "mmap": _mapped,
    "grown": _grown,
    "shrunk": _shrunk,
}


class Node:
    """Refers to itself, so that only a collection frees it."""

    def __init__(self, data: object) -> None:
        """Close the cycle."""
        self.data = data
        self.me = self


class Finalized(Node):
    """A cycle with a finalizer."""

    def __del__(self) -> None:
        """Take part in finalization."""
        self.data = None


HOLDERS: dict[str, Callable[[Any], Any]] = {
    "plain": lambda data: data,
    "cycle": Node,
    "finalizer": Finalized,
}


def held(kind: str, size: int, holder: str) -> object:
    """Some memory and what holds it.

    Args:
        kind: a key of `PAYLOADS`.
        size: MiB.
        holder: a key of `HOLDERS`.
    """
    return HOLDERS[holder](PAYLOADS[kind](size * MIB))


# Operations


def allocate(kind: str, size: int, holder: str) -> None:
    """Use memory and drop it; a cycle stays as garbage."""
    held(kind, size, holder)


def keep(kind: str, size: int, holder: str, slot: str) -> None:
    """Put memory beside what a slot of the module holds."""
    KEPT.setdefault(slot, []).append(held(kind, size, holder))


def thin_out(kind: str, size: int, slot: str) -> None:
    """Keep few of many objects: the free places between them stay with the process."""
    KEPT.setdefault(slot, []).append(PAYLOADS[kind](size * MIB)[::SIEVE])


def drop(slot: str) -> None:
    """Drop all that a slot holds."""
    KEPT.pop(slot, None)


def collect(generation: int) -> None:
    """Collect garbage up to a generation."""
    gc.collect(generation)


def churn(thousands: int) -> None:
    """Make many containers at once, so that automatic collections happen."""
    rows = [[None] for _ in range(thousands * 1000)]
    del rows


def fill_dict(size: int) -> None:
    """Fill a cache that is a dict, as far as it is not."""
    for key in range(size * MIB // ENTRY):
        if key not in CACHE:
            CACHE[key] = bytes(ENTRY)


@cache
def _entry(key: int) -> tuple[int, bytes]:
    return key, bytes(ENTRY)


def fill_lru(size: int) -> None:
    """Fill an lru_cache, as far as it is not."""
    for key in range(size * MIB // ENTRY):
        _entry(key)


def clear(name: str) -> None:
    """Clear one of the two caches."""
    (CACHE.clear if name == "dict" else _entry.cache_clear)()


def fail(kind: str, size: int, holder: str) -> None:
    """Fail while a local variable holds memory."""
    rows = held(kind, size, holder)
    raise IntendedError(len(repr(type(rows))))


def _raise_chained(kind: str, size: int, *, cyclic: bool) -> None:
    rows = PAYLOADS[kind](size * MIB)
    try:
        raise KeyError(len(rows))
    except KeyError as error:
        cause = error if cyclic else None  # in its own frame: a cycle
        raise ValueError(cause is None) from error


def chain(kind: str, size: int, holder: str, slot: str) -> None:
    """Raise from another exception, catch, and drop or keep it with the frames' memory.

    Args:
        kind: of the memory in a frame.
        size: MiB.
        holder: "plain" for frames that end with the exception.
        slot: what keeps the exception; empty for nothing.
    """
    try:
        _raise_chained(kind, size, cyclic=holder != "plain")
    except ValueError as error:
        if slot:
            KEPT.setdefault(slot, []).append(error)


def load(table: str) -> None:
    """Import a module with a large table of constants."""
    importlib.import_module(table)


def unload(table: str) -> None:
    """Forget an imported module, whose function refers to its globals: a cycle."""
    sys.modules.pop(table, None)


def fork(kind: str, size: int) -> None:
    """Use memory in a forked child."""
    child = os.fork()
    if child == 0:
        try:
            PAYLOADS[kind](size * MIB)
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def thread(kind: str, size: int) -> None:
    """Use memory in a thread that ends."""
    worker = threading.Thread(target=PAYLOADS[kind], args=(size * MIB,))
    worker.start()
    worker.join()


def leave_holes(size: int) -> None:
    """Be a process with a past: a C heap in which every second block has been freed.

    Args:
        size: MiB that stay in use.
    """
    KEPT.setdefault("past", []).append(PAYLOADS["blocks"](2 * size * MIB)[::2])


OPERATIONS: dict[str, Callable[..., None]] = {
    function.__name__: function
    for function in (
        *(allocate, keep, thin_out, drop, collect, churn, fill_dict, fill_lru, clear),
        *(fail, chain, load, unload, fork, thread),
    )
}

TABLES = ("memguard_table_a", "memguard_table_b")


def write_tables(folder: str) -> None:
    """Write modules that can be imported, and compile them.

    Args:
        folder: where.
    """
    for table in TABLES:
        path = Path(folder, f"{table}.py")
        rows = ",\n".join(f"'{table} {row:0>60}'" for row in range(_ROWS))
        path.write_text(f"ROWS = ({rows})\n\ndef row(number):\n    return ROWS[number]\n")
        py_compile.compile(str(path))


def find_tables() -> None:
    """Have modules for import in a file that is run by itself."""
    if importlib.util.find_spec(TABLES[0]) is None:
        folder = tempfile.mkdtemp(prefix="memguard-tables-")
        write_tables(folder)
        sys.path.append(folder)


# The clock of a history: whether measuring pays depends on time, and so may a verdict

_skipped = 0.0


def _skipping() -> float:
    return time.perf_counter() + _skipped


def use_clock() -> None:
    """Let the plugin measure time by a clock that `passes` moves on."""
    from pytest_memguard.clock import Clock

    Clock.seconds = staticmethod(_skipping)


def passes(seconds: int) -> None:
    """Let time pass as if the test took so long."""
    global _skipped  # noqa: PLW0603  there is one clock
    _skipped += seconds


def run(operations: list[tuple[str, list[Any]]]) -> Iterator[None]:
    """Do one operation after the other, with a pause for the caller after each."""
    for name, arguments in operations:
        OPERATIONS[name](*arguments)
        yield
