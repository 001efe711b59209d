"""Keeps large holes of the C heap out of use while a peak is measured that goes on record."""

from __future__ import annotations

import ctypes
import sys
from typing import Final

from pytest_memguard.probes.c_heap import Mallinfo2

# What is larger is mapped by itself (see steady); smaller holes make little difference.
SMALLEST: Final = 128 * 1024
_STEP: Final = 4
_MOST: Final = 4096
_SIZE_OF_WORD: Final = ctypes.sizeof(ctypes.c_size_t)
_IS_MAPPED: Final = 2


class Holes:
    """Plugs holes with blocks that are never touched, so that they are not resident.

    A block that grows by realloc, as those of lists and arrays do, is mapped by itself once
    it is large, and then grows without being copied. Where it happens to lie before a hole
    that an earlier test left, it grows into the hole first, and is copied when that is full:
    for the rest of the test both are resident. So a test could take half as much again,
    depending on what ran before it.

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
        self._plugs: list[int] = []

    def plug(self) -> None:
        """Take what is free in large pieces, the largest first."""
        self.unplug()
        free = self._info().fordblks
        size = SMALLEST
        while size * _STEP <= free:
            size *= _STEP
        while size >= SMALLEST and len(self._plugs) < _MOST:
            if size > free or not self._plug_one(size):
                size //= _STEP
            else:
                free -= size

    def _plug_one(self, size: int) -> bool:
        """Take one piece, if there is such a hole."""
        block = self._malloc(size)
        if not block:
            return False
        header = ctypes.c_size_t.from_address(block - _SIZE_OF_WORD).value
        if header & _IS_MAPPED:  # no hole was large enough
            self._free(block)
            return False
        self._plugs.append(block)
        return True

    def unplug(self) -> None:
        """Give all of it back."""
        for block in self._plugs:
            self._free(block)
        self._plugs.clear()


def holes() -> Holes | None:
    """What plugs holes, where the C library is one whose blocks it knows."""
    if sys.platform != "linux":
        return None
    try:
        return Holes()
    except (OSError, AttributeError):
        return None
