"""Room free inside the process: memory a test can use without the kernel's mark rising."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from dataclasses import dataclass, replace
from typing import Final

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.probes.resident import ProcFile
from pytest_memguard.units import KIB

_UNUSED = re.compile(rb"(\d+) unused pools \* (\d+) bytes")
_CLASS = re.compile(rb"^\s*\d+\s+(\d+)\s+\d+\s+\d+\s+(\d+)\s*$", re.MULTILINE)
_PAGES_A_CHUNK: Final = 2
_START_OF_SMAPS: Final = 32 * 1024
_HEAP = re.compile(rb"\[heap\]\nSize:\s+(\d+) kB\n(?:.*\n)*?Rss:\s+(\d+) kB")


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeRoom:
    """What is free inside the process, by who holds it."""

    blocks: tuple[tuple[int, int], ...] = ()
    """Free blocks in pymalloc's pools that are partly in use: size in bytes, and how many."""
    pools: int = 0
    """Free pools in arenas that something else keeps alive."""
    pool_size: int = 0
    """Bytes of a pool."""
    malloc: int = 0
    """Bytes of resident memory in free chunks of the C heap, at most."""
    anywhere: int = 0
    """Bytes of ``malloc`` at the ends of threads' arenas, where blocks of any size fit."""

    @property
    def total(self) -> int:
        """Bytes a test could use at most without the process growing."""
        in_pools = sum(size * count for size, count in self.blocks)
        return in_pools + self.pools * self.pool_size + self.malloc


class FreeRoomProbe:
    """Asks CPython's and glibc's allocators for what they hold free.

    CPython prints its statistics to a C stream (``sys._debugmallocstats``); the function
    behind it takes any stream, so ours is one in memory and nobody's stderr is touched.

    Raises:
        Unmeasurable: if this interpreter or C library does not tell.
    """

    def __init__(self) -> None:
        if sys.implementation.name != "cpython" or sys.platform == "win32":
            msg = "the allocators of this interpreter or platform do not tell"
            raise Unmeasurable(msg)
        try:
            self._libc = _libc()
            self._print = ctypes.pythonapi["_PyObject_DebugMallocStats"]
            self._smaps = ProcFile("smaps")
        except (AttributeError, OSError) as error:
            msg = f"the C library, the interpreter or the kernel lacks something ({error})"
            raise Unmeasurable(msg) from error
        self._print.argtypes = [ctypes.c_void_p]
        self._print.restype = ctypes.c_int
        self._page = os.sysconf("SC_PAGESIZE")

    def read(self) -> FreeRoom:
        """Measure: 30 microseconds on a small heap, 2 milliseconds on one of 500 arenas.

        The C heap must have given its free pages back just before.
        """
        malloc, anywhere = self._free_chunks()
        in_python = parse_malloc_stats(self._statistics())
        return replace(in_python, malloc=malloc, anywhere=anywhere)

    def _statistics(self) -> bytes:
        buffer, length = ctypes.c_void_p(), ctypes.c_size_t()
        stream = self._libc.open_memstream(ctypes.byref(buffer), ctypes.byref(length))
        if not stream:
            msg = "there is no memory for a stream"
            raise Unmeasurable(msg)
        self._print(stream)
        self._libc.fclose(stream)
        try:
            return ctypes.string_at(buffer.value or 0, length.value) if length.value else b""
        finally:
            self._libc.free(buffer)

    def _free_chunks(self) -> tuple[int, int]:
        """Free resident bytes of the C heap, and how many of them lie at ends of arenas."""
        info: _Mallinfo2 = self._libc.mallinfo2()
        # whole pages of a free chunk have been given back; its first and last are shared
        by_pages = info.fsmblks + info.ordblks * _PAGES_A_CHUNK * self._page
        main = self._main_heap()
        if main is None:
            return int(info.fordblks), int(info.fordblks)
        size, resident = main
        if size >= info.arena:
            return int(max(0, min(info.fordblks, by_pages, resident - info.uordblks))), 0
        # the arenas of threads give back nothing from their ends
        ends = min(info.fordblks, info.arena - size)
        return int(min(info.fordblks, by_pages + ends)), int(ends)

    def _main_heap(self) -> tuple[int, int] | None:
        text = b""
        for part in self._smaps.parts(_START_OF_SMAPS):
            text += part
            main = main_heap(text)
            if main is not None:
                return main
        return None


class _Mallinfo2(ctypes.Structure):
    """Glibc's struct of the same name (mallinfo2(3))."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    )


def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None)
    libc.open_memstream.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    libc.open_memstream.restype = ctypes.c_void_p
    libc.fclose.argtypes = [ctypes.c_void_p]
    libc.free.argtypes = [ctypes.c_void_p]
    libc.mallinfo2.restype = _Mallinfo2
    return libc


def parse_malloc_stats(text: bytes) -> FreeRoom:
    """What pymalloc holds free, from its own statistics.

    Args:
        text: what CPython prints; empty where pymalloc is not in use.

    Raises:
        Unmeasurable: if the text has another form.
    """
    if not text.strip():
        return FreeRoom()
    unused = _UNUSED.search(text)
    classes = tuple((int(size), int(free)) for size, free in _CLASS.findall(text) if int(free))
    if unused is None:
        msg = "CPython's allocator statistics have another form in this version"
        raise Unmeasurable(msg)
    pools, pool_size = (int(number) for number in unused.groups())
    return FreeRoom(blocks=classes, pools=pools, pool_size=pool_size)


def main_heap(smaps: bytes) -> tuple[int, int] | None:
    """Size and resident bytes of the mapping that bears the C heap's name, if there is one.

    Args:
        smaps: the start of /proc/self/smaps.
    """
    match = _HEAP.search(smaps)
    return None if match is None else (int(match[1]) * KIB, int(match[2]) * KIB)
