"""Reserves large free chunks of the C heap while a test with a limit on its peak runs."""

from __future__ import annotations

import ctypes
import sys
from typing import Final

from pytest_memguard.probes.c_heap import Mallinfo2

# Smaller chunks make little difference to a peak.
SMALLEST_BYTES: Final = 128 * 1024
_STEP: Final = 4
_MOST_CHUNKS: Final = 4096


class FreeChunks:
    """Reserves free chunks by allocating them; they are never touched, so not resident.

    A block that grows by realloc, as those of lists and arrays do, is mapped by itself once
    it is large, and then grows without being copied. If it lies before a free chunk that an
    earlier test left, it grows into the chunk first, and malloc copies it when the chunk is
    full: for the rest of the test both copies are resident. A block that starts as zeros
    (calloc) takes no memory until it is used, unless it lies in a free chunk, which has to be
    cleared first. So a test could take half as much again, depending on what ran before it.

    Raises:
        AttributeError: if the C library is not glibc.
    """

    def __init__(self) -> None:
        libc = ctypes.CDLL(None)
        libc.gnu_get_libc_version()
        libc.mallinfo2.restype = Mallinfo2
        libc.sbrk.restype, libc.sbrk.argtypes = ctypes.c_void_p, [ctypes.c_ssize_t]
        self._info, self._sbrk = libc.mallinfo2, libc.sbrk
        self._malloc, self._free = libc.malloc, libc.free
        self._malloc.restype, self._malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
        self._free.restype, self._free.argtypes = None, [ctypes.c_void_p]
        self._reserved: list[int] = []

    def reserve(self) -> None:
        """Allocate what is free in large chunks, the largest first."""
        self.release()
        info = self._info()
        # the end of the heap is free, too: blocks there have never been used, or were returned
        free = info.fordblks - info.keepcost
        if free < SMALLEST_BYTES:
            return
        end = (self._sbrk(0) or 0) - info.keepcost
        size = SMALLEST_BYTES
        while size * _STEP <= free:
            size *= _STEP
        while size >= SMALLEST_BYTES and len(self._reserved) < _MOST_CHUNKS:
            if size > free or not self._reserve_one(size, end):
                size //= _STEP
            else:
                free -= size

    def _reserve_one(self, size: int, end: int) -> bool:
        """Allocate one chunk; whether there was one of this size before an address."""
        block = self._malloc(size)
        if not block:
            return False
        if block >= end:  # no free chunk was large enough
            self._free(block)
            return False
        self._reserved.append(block)
        return True

    def release(self) -> None:
        """Free all of them."""
        for block in self._reserved:
            self._free(block)
        self._reserved.clear()


def free_chunks() -> FreeChunks | None:
    """Return what reserves free chunks; `None` where the C library is not glibc."""
    if sys.platform != "linux":
        return None
    try:
        return FreeChunks()
    except (OSError, AttributeError):
        return None
