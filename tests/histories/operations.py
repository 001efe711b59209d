"""What the tests of a history do: each operation is a function of a few plain values."""

from __future__ import annotations

import gc
import importlib.util
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

from tests.histories.failures import KEPT, chain, fail
from tests.histories.payloads import MIB, PAYLOADS, held

ENTRY = 16 * 1024
"""Bytes of one entry of a cache."""
SIEVE = 50
"""One object in so many stays when many are thinned out."""
_ROWS = 20_000  # texts in the table of one imported module, about 4 MiB with all it takes

CACHE: dict[int, bytes] = {}


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


def leave_free_chunks(size: int) -> None:
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
