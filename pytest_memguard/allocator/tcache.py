"""Keeps what glibc holds aside of freed blocks alike at every look."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any, Final

_KEPT: Final = 7
"""Freed blocks of one size that glibc keeps aside for a thread."""
_OF_THREADS: Final = tuple(size for size in range(24, 73, 16) for _ in range(_KEPT))
"""Bytes of blocks that starting a thread, and the locks it uses, take from malloc."""
_SMALL: Final = tuple(size for size in range(24, 512, 16) for _ in range(_KEPT))
"""Bytes of blocks that no object of Python's is in, but what the interpreter takes from malloc
itself: what it hands to a new thread, for one."""
_LARGE: Final = tuple(size for size in range(512, 1025, 16) for _ in range(_KEPT))
"""Bytes of these blocks, as far as Python takes them from malloc; a bytearray has room for one
byte more."""

_ROOM: Final[list[Any]] = [None] * len(_LARGE)
"""Where the blocks are while all are alive. A list that grew would take one more of some sizes,
and so leave another block aside each time, among those that the calls have just freed."""


def fill_spare_blocks() -> None:
    """Have glibc keep as many freed blocks of each size aside as it ever does.

    It counts them as used. Calls that need blocks of many sizes leave some here and some there,
    so the C heap seems to grow, over hundreds of calls, until there are seven of each. Where a
    thread frees what the one that started it took, that one has a block less to spare, and gets
    seven more at every seventh thread. With seven of each at every look, what is left is what
    the calls keep. Larger blocks are not kept. It takes some 100 microseconds, and 240 KiB the
    first time.
    """
    for at in range(len(_LARGE)):
        _ROOM[at] = bytearray(_LARGE[at])
    for at in range(len(_LARGE)):
        _ROOM[at] = None
    _take_and_free(_SMALL)


def fill_spare_blocks_of_threads() -> None:
    """Do so for the sizes alone that threads need: it takes some 10 microseconds."""
    _take_and_free(_OF_THREADS)


def _take_and_free(sizes: tuple[int, ...]) -> None:
    take, free = _malloc()
    for at in range(len(sizes)):
        _ROOM[at] = take(sizes[at])
    for at in range(len(sizes)):
        free(_ROOM[at])
        _ROOM[at] = None


@cache
def _malloc() -> tuple[Callable[[int], Any], Callable[[Any], None]]:
    """The functions of the C library, called with the interpreter's lock held."""
    take, free = ctypes.pythonapi["malloc"], ctypes.pythonapi["free"]
    take.argtypes, take.restype = [ctypes.c_size_t], ctypes.c_void_p
    free.argtypes, free.restype = [ctypes.c_void_p], None
    return take, free
