"""Reads what glibc's thread cache (tcache) holds, which counts as in use on the C heap."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable
from functools import cache
from operator import mul
from typing import Any, Final

from pytest_memguard.probes.c_heap import range_of_heap

_SIZES: Final = tuple(range(32, 32 + 64 * 16, 16))
"""Bytes of the blocks of each size, with malloc's own."""
_COUNT_BYTES: Final = 2
_OF_MALLOC: Final = 16
"""Bytes before a block on the heap."""
_SIZE_AND_FLAG: Final = _OF_MALLOC + len(_SIZES) * (_COUNT_BYTES + 8) + 1
"""What malloc notes of the first block of the heap: size, and that the one before is in use."""
_TRIED: Final = len(_SIZES) - 1
"""Index of a size that little else uses."""


class ThreadCache:
    """What the main thread has freed and keeps for its next blocks.

    glibc 2.30 to 2.41 has a number for each size in the first block of the heap.

    Args:
        start: the address of the heap.

    Raises:
        ValueError: if this is not what is there.
    """

    def __init__(self, start: int) -> None:
        if ctypes.c_size_t.from_address(start + 8).value != _SIZE_AND_FLAG:
            msg = "the heap begins with something else"
            raise ValueError(msg)
        at = start + _OF_MALLOC
        numbers = (ctypes.c_uint16 * len(_SIZES)).from_address(at)
        self._counts = memoryview(numbers).cast("B").cast("H")
        latest = at + len(_SIZES) * _COUNT_BYTES + 8 * _TRIED
        self._latest = ctypes.c_size_t.from_address(latest)
        self._thread = threading.get_ident()
        if not self._takes_in():
            msg = "a block that was just freed is not in it"
            raise ValueError(msg)

    @property
    def is_mine(self) -> bool:
        """Whether it is that of the thread that asks."""
        return threading.get_ident() == self._thread

    def size(self) -> int:
        """Return the bytes that it holds; 0 in another thread."""
        return sum(map(mul, self._counts, _SIZES)) if self.is_mine else 0

    def _takes_in(self) -> bool:
        """Return whether a block that is freed is in the cache then."""
        take, free = malloc_and_free()
        block = take(_SIZES[_TRIED] - _OF_MALLOC)
        before = self._counts[_TRIED]
        free(block)
        return self._counts[_TRIED] == before + 1 and self._latest.value == block


def thread_cache() -> ThreadCache | None:
    """Return the cache of this thread; ``None`` if it cannot be read."""
    if sys.platform != "linux" or ctypes.sizeof(ctypes.c_size_t) != 8:
        return None
    try:
        with open("/proc/self/maps", "rb") as file:  # noqa: PTH123  a check begins
            heap = range_of_heap(file.read())
        return None if heap is None else ThreadCache(heap.start)
    except (OSError, ValueError, AttributeError):
        return None


@cache
def malloc_and_free() -> tuple[Callable[[int], Any], Callable[[Any], None]]:
    """Return malloc and free, to be called with the interpreter's lock held."""
    take, free = ctypes.pythonapi["malloc"], ctypes.pythonapi["free"]
    take.argtypes, take.restype = [ctypes.c_size_t], ctypes.c_void_p
    free.argtypes, free.restype = [ctypes.c_void_p], None
    return take, free
