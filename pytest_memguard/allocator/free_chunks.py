"""Reserves large free chunks of the C heap while a peak is measured that will be stored."""

from __future__ import annotations

import ctypes
import sys
from typing import Final

from pytest_memguard.probes.c_heap import Mallinfo2

# Larger blocks are mapped by themselves (see mmap_threshold); smaller chunks make little
# difference to a peak.
SMALLEST_BYTES: Final = 128 * 1024
_STEP: Final = 4
_MOST_CHUNKS: Final = 4096
_SIZE_OF_WORD: Final = ctypes.sizeof(ctypes.c_size_t)
_IS_MAPPED: Final = 2


class FreeChunks:
    """Reserves free chunks by allocating them; they are never touched, so not resident.

    A block that grows by realloc, as those of lists and arrays do, is mapped by itself once
    it is large, and then grows without being copied. If it lies before a free chunk that an
    earlier test left, it grows into the chunk first, and malloc copies it when the chunk is
    full: for the rest of the test both copies are resident. So a test could take half as much
    again, depending on what ran before it.

    Raises:
        AttributeError: if the C library is not glibc.
    """

    def __init__(self) -> None:
        libc = ctypes.CDLL(None)
        libc.gnu_get_libc_version()
        libc.mallinfo2.restype = Mallinfo2
        self._info = libc.mallinfo2
        self._malloc, self._free = libc.malloc, libc.free
        self._malloc.restype, self._malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
        self._free.restype, self._free.argtypes = None, [ctypes.c_void_p]
        self._reserved: list[int] = []

    def reserve(self) -> None:
        """Allocate what is free in large chunks, the largest first."""
        self.release()
        free = self._info().fordblks
        size = SMALLEST_BYTES
        while size * _STEP <= free:
            size *= _STEP
        while size >= SMALLEST_BYTES and len(self._reserved) < _MOST_CHUNKS:
            if size > free or not self._reserve_one(size):
                size //= _STEP
            else:
                free -= size

    def _reserve_one(self, size: int) -> bool:
        """Allocate one chunk; whether the heap had one of this size."""
        block = self._malloc(size)
        if not block:
            return False
        header = ctypes.c_size_t.from_address(block - _SIZE_OF_WORD).value
        if header & _IS_MAPPED:  # no free chunk was large enough
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
