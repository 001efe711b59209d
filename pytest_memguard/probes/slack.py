"""Reads slack: free memory inside the allocators that a test can reuse."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import replace
from typing import Final

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.probes.c_heap import CHeap
from pytest_memguard.values import dataclass

_COLUMNS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Slack:
    """Free memory inside the allocators, by the allocator that holds it."""

    blocks: tuple[tuple[int, int], ...] = ()
    """Size in bytes and number of free blocks in pymalloc's pools that are partly in use."""
    pools: int = 0
    """Number of free pools in arenas that other blocks keep alive."""
    pool_size: int = 0
    """Bytes of a pool."""
    arena_size: int = 0
    """Bytes of an arena; pools of the newest arena may never have been touched."""
    used: int = 0
    """Bytes in blocks that are in use."""
    malloc: int = 0
    """The most bytes of resident memory in free chunks of the C heap."""
    heap: int = 0
    """Bytes in use on the C heap."""
    explained: int = 0
    """Bytes that CPython and glibc have from the system, in use or free."""
    hooked: bool = False
    """Whether another tool hooks pymalloc, as tracemalloc does; then there are no
    statistics."""
    anywhere: int = 0
    """Bytes of ``malloc`` at the ends of threads' arenas, where blocks of any size fit."""

    @property
    def small(self) -> int:
        """Bytes for blocks up to 512 bytes, including those that were never touched."""
        return sum(size * count for size, count in self.blocks) + self.pools * self.pool_size

    @property
    def total(self) -> int:
        """The most bytes that a test can use without the process growing."""
        return self.small + self.malloc


class SlackProbe:
    """Reads the free memory of CPython's and glibc's allocators.

    CPython prints its statistics to a C stream (``sys._debugmallocstats``). The function behind
    it accepts any stream, so the probe passes one in memory and leaves stderr alone.

    Raises:
        Unmeasurable: if this interpreter or C library has no such statistics.
    """

    def __init__(self) -> None:
        if sys.implementation.name != "cpython" or sys.platform == "win32":
            msg = "the allocators of this interpreter or platform have no statistics"
            raise Unmeasurable(msg)
        try:
            self._heap = CHeap()
            self._print = ctypes.pythonapi["_PyObject_DebugMallocStats"]
        except (AttributeError, OSError) as error:
            msg = f"the C library, the interpreter or the kernel lacks something ({error})"
            raise Unmeasurable(msg) from error
        self._print.argtypes = [ctypes.c_void_p]
        self._print.restype = ctypes.c_int

    def read(self) -> Slack:
        """Measure the slack, in 30 microseconds, or in 2 milliseconds with 500 arenas.

        The C heap must have been trimmed just before.
        """
        malloc, anywhere = self._heap.free()
        heap = self._heap.in_use()
        found = self.read_python()
        explained = found.explained + heap + malloc
        return replace(found, malloc=malloc, anywhere=anywhere, heap=heap, explained=explained)

    def read_python(self) -> Slack:
        """Measure the free memory of pymalloc, without the C heap."""
        text = self._heap.printed(self._print)
        if not text.strip() and sys.getallocatedblocks():
            return Slack(hooked=True)
        return parse_malloc_stats(text)

    def read_used(self) -> int | None:
        """Return the bytes in pymalloc's blocks; ``None`` while another tool hooks it."""
        slack = self.read_python()
        return None if slack.hooked else slack.used


def parse_malloc_stats(text: bytes) -> Slack:
    """Return the free memory of pymalloc from its own statistics.

    Args:
        text: what CPython prints; empty if pymalloc is not in use.

    Raises:
        Unmeasurable: if the text has another form.
    """
    if not text.strip():
        return Slack()
    table, _, totals = text.partition(b"# arenas")
    products = _products(totals)
    if b"unused pools" not in products:
        msg = "CPython's allocator statistics have another form in this version"
        raise Unmeasurable(msg)
    rows = [row.split() for row in table.splitlines()]
    classes = [
        (int(row[1]), int(row[3]), int(row[4]))
        for row in rows
        if len(row) == _COLUMNS and row[4].isdigit()
    ]
    pools, pool_size = products[b"unused pools"]
    arenas, arena_size = products.get(b"arenas", (0, 0))
    return Slack(
        blocks=tuple((size, free) for size, _, free in classes if free),
        pools=pools,
        pool_size=pool_size,
        arena_size=arena_size,
        used=sum(size * used for size, used, _ in classes),
        explained=arenas * arena_size,
    )


def _products(text: bytes) -> dict[bytes, tuple[int, int]]:
    """Return number and size by name, from lines such as "4 arenas * 1048576 bytes/arena"."""
    found: dict[bytes, tuple[int, int]] = {}
    for line in text.splitlines():
        left, times, right = line.partition(b" * ")
        number, _, name = left.strip().partition(b" ")
        size = right.partition(b" ")[0]
        if times and number.isdigit() and size.isdigit():
            found[name] = int(number), int(size)
    return found
