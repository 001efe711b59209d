"""Reads how much free memory of glibc's heap is resident."""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.values import dataclass

_PAGES_A_CHUNK: Final = 2
_IS_RESIDENT: Final = b"\x01"
_NAME = b"[heap]"
# Compiled when it is first used, by `re` itself: few processes have arenas for threads.
_ARENA: Final = (
    rb"(?s)<total type=\"fast\" count=\"\d+\" size=\"(\d+)\"/>\s*"
    rb"<total type=\"rest\" count=\"\d+\" size=\"(\d+)\"/>\s*"
    rb"<system type=\"current\" size=\"(\d+)\"/>(?=.*?</heap>)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arena:
    """One of glibc's arenas: the main arena on the process's heap, or one for threads."""

    size: int
    """Bytes that it has from the system."""
    free: int
    """Bytes in free chunks, the one at its end included."""


class CHeap:
    """Asks glibc for its free memory, and the kernel how much of it is resident.

    Raises:
        AttributeError: if the C library is not glibc.
        OSError: if the kernel does not list the mappings of the process.
    """

    def __init__(self) -> None:
        libc = ctypes.CDLL(None)
        libc.open_memstream.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        libc.open_memstream.restype = ctypes.c_void_p
        libc.fclose.argtypes = [ctypes.c_void_p]
        libc.free.argtypes = [ctypes.c_void_p]
        libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
        libc.mallinfo2.restype = Mallinfo2
        libc.sbrk.argtypes = [ctypes.c_ssize_t]
        libc.sbrk.restype = ctypes.c_void_p
        libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
        self._libc = libc
        self._page = os.sysconf("SC_PAGESIZE")
        heap = range_of_heap(Path("/proc/self/maps").read_bytes())
        self._start = None if heap is None else heap.start

    def free(self) -> tuple[int, int]:
        """Return the most free bytes that can be resident, and those in arenas of threads.

        The heap must have been trimmed just before.
        """
        info: Mallinfo2 = self._libc.mallinfo2()
        main = self._mapping()
        if main is None:
            return int(info.fordblks), int(info.fordblks)
        size, resident = main
        if size >= info.arena:
            # whole pages of a free chunk have been given back; its first and last are shared
            by_pages = info.fsmblks + info.ordblks * _PAGES_A_CHUNK * self._page
            return int(max(0, min(info.fordblks, by_pages, resident - info.uordblks))), 0
        arenas = parse_malloc_info(self.printed(lambda to: self._libc.malloc_info(0, to)))
        if not arenas:  # another form: then all that is free counts
            return int(info.fordblks), int(info.fordblks)
        return free_of_arenas(arenas, size, resident)

    def in_use(self) -> int:
        """Return the bytes in use, mapped blocks included."""
        info: Mallinfo2 = self._libc.mallinfo2()
        return int(info.uordblks + info.hblkhd)

    def free_chunks(self) -> int:
        """Return the bytes in free chunks, resident or not."""
        return int(self._libc.mallinfo2().fordblks)

    def printed(self, function: Callable[[Any], object]) -> bytes:
        """Return what a function prints to the C stream that it is called with.

        Raises:
            Unmeasurable: if there is no memory for a stream.
        """
        buffer, length = ctypes.c_void_p(), ctypes.c_size_t()
        stream = self._libc.open_memstream(ctypes.byref(buffer), ctypes.byref(length))
        if not stream:
            msg = "there is no memory for a stream"
            raise Unmeasurable(msg)
        function(stream)
        self._libc.fclose(stream)
        try:
            return ctypes.string_at(buffer.value or 0, length.value) if length.value else b""
        finally:
            self._libc.free(buffer)

    def _mapping(self) -> tuple[int, int] | None:
        """Return size and resident bytes of the process's heap; ``None`` if it has none."""
        end = self._libc.sbrk(0)
        if self._start is None or not end or end <= self._start:
            return None
        size = end - self._start
        # no buffer of ctypes': each size would be a type of its own, which stays
        pages = bytearray(-(-size // self._page))
        first = ctypes.c_char.from_buffer(pages)
        if self._libc.mincore(self._start, size, ctypes.byref(first)):
            return None
        return size, pages.count(_IS_RESIDENT) * self._page


class Mallinfo2(ctypes.Structure):
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


def free_of_arenas(arenas: list[Arena], size: int, resident: int) -> tuple[int, int]:
    """Return the most free bytes that can be resident, and how many are in arenas of threads.

    Args:
        arenas: the main arena first.
        size: bytes of the mapping of the process's heap.
        resident: how many of them are resident.
    """
    main, *others = arenas
    elsewhere = max(
        0, main.size - size
    )  # malloc continues there if another mapping is in the way
    used = main.size - main.free
    in_main = max(0, min(main.free, resident + elsewhere - used))
    # the arenas of threads give back nothing from their ends
    of_threads = sum(arena.free for arena in others)
    return in_main + of_threads, of_threads


def parse_malloc_info(text: bytes) -> list[Arena]:
    """Return the arenas in the output of malloc_info(3), the main arena first.

    Args:
        text: the output, in XML.
    """
    found = [tuple(int(number) for number in match) for match in re.findall(_ARENA, text)]
    return [Arena(size=size, free=fast + rest) for fast, rest, size in found]


def range_of_heap(maps: bytes) -> range | None:
    """Return the addresses of the mappings named as the C heap; ``None`` if there are none.

    Args:
        maps: content of /proc/self/maps.
    """
    parts = [line.partition(b" ")[0] for line in maps.splitlines() if line.endswith(_NAME)]
    if not parts:
        return None
    start, end = parts[0].partition(b"-")[0], parts[-1].partition(b"-")[2]
    return range(int(start, 16), int(end, 16))
