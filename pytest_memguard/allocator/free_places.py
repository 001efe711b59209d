"""Takes all free places of the C heap, in a process that measures one test and ends."""

from __future__ import annotations

import ctypes
import sys
from typing import Final

from pytest_memguard.probes.c_heap import Mallinfo2

_LARGEST_BYTES: Final = 64 * 1024
_SMALLEST_BYTES: Final = 16
_MOST_BLOCKS: Final = 200_000


def take_free_places() -> None:
    """Allocate what is free below the end of the C heap, and keep it.

    What is at the end is not resident after a trim, so it needs no filling. The places are
    resident already where they matter: a block is not touched but for its header. Where the C
    library is not glibc, or this thread has an arena of its own, nothing is taken.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    try:
        libc.mallinfo2.restype = Mallinfo2
    except AttributeError:
        return
    libc.sbrk.restype, libc.sbrk.argtypes = ctypes.c_void_p, [ctypes.c_ssize_t]
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.malloc_trim(0)
    end = (libc.sbrk(0) or 0) - libc.mallinfo2().keepcost
    size, left = _LARGEST_BYTES, _MOST_BLOCKS
    while size >= _SMALLEST_BYTES and left:
        left -= 1
        if not 0 < (libc.malloc(size) or 0) < end:  # there is no free place of this size
            size //= 2
