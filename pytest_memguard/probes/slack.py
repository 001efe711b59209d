"""Reads slack: free memory inside the allocators that a test can reuse."""

from __future__ import annotations

import ctypes
import re
import sys
from itertools import compress, starmap
from operator import mul
from typing import Final

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.probes.c_heap import CHeap
from pytest_memguard.values import dataclass

# A reading takes place around every tenth test or so: what it prints is read without loops.
_TABLE_BEGINS: Final = b"-\n"
_COLUMNS: Final = 5
_NUMBER: Final = re.compile(rb"\d+")
_PRODUCT: Final = re.compile(rb"^(\d+) (unused pools|arenas) \* (\d+)\b", re.MULTILINE)


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
        blocks: int = sum(starmap(mul, self.blocks))
        return blocks + self.pools * self.pool_size

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
        return self._read(malloc, anywhere, self._heap.in_use())

    def read_python(self) -> Slack:
        """Measure the free memory of pymalloc, without the C heap."""
        return self._read()

    def _read(self, malloc: int = 0, anywhere: int = 0, heap: int = 0) -> Slack:
        """Measure the free memory of pymalloc; args: those of `Slack`."""
        text = self.statistics()
        if not text.strip() and sys.getallocatedblocks():
            return Slack(
                hooked=True,
                malloc=malloc,
                anywhere=anywhere,
                heap=heap,
                explained=heap + malloc,
            )
        return parse_malloc_stats(text, malloc, anywhere, heap)

    def statistics(self) -> bytes:
        """Return pymalloc's statistics, as CPython prints them; empty while it is hooked."""
        return self._heap.printed(self._print)

    def read_used(self) -> int | None:
        """Return the bytes in pymalloc's blocks; ``None`` while another tool hooks it."""
        slack = self.read_python()
        return None if slack.hooked else slack.used


def parse_malloc_stats(text: bytes, malloc: int = 0, anywhere: int = 0, heap: int = 0) -> Slack:
    """Return the free memory of pymalloc from its own statistics.

    Args:
        text: what CPython prints; empty if pymalloc is not in use.
        malloc: the most bytes in free chunks of the C heap.
        anywhere: those of them at the ends of threads' arenas.
        heap: bytes in use on the C heap.

    Raises:
        Unmeasurable: if the text has another form.
    """
    if not text.strip():
        return Slack(malloc=malloc, anywhere=anywhere, heap=heap, explained=heap + malloc)
    table, _, totals = text.partition(b"# arenas")
    numbers = list(map(int, _NUMBER.findall(table.rpartition(_TABLE_BEGINS)[2])))
    products = {name: (int(count), int(size)) for count, name, size in _PRODUCT.findall(totals)}
    if b"unused pools" not in products or len(numbers) % _COLUMNS:
        msg = "CPython's allocator statistics have another form in this version"
        raise Unmeasurable(msg)
    sizes, used, free = (numbers[column::_COLUMNS] for column in (1, 3, 4))
    pools, pool_size = products[b"unused pools"]
    arenas, arena_size = products.get(b"arenas", (0, 0))
    return Slack(
        blocks=tuple(compress(zip(sizes, free, strict=True), free)),
        pools=pools,
        pool_size=pool_size,
        arena_size=arena_size,
        used=sum(map(mul, sizes, used)),
        malloc=malloc,
        anywhere=anywhere,
        heap=heap,
        explained=arenas * arena_size + heap + malloc,
    )
