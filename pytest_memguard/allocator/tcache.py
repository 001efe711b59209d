"""Fills glibc's thread cache (tcache) before readings, so that it holds as much each time."""

from __future__ import annotations

from typing import Any, Final

from pytest_memguard.probes.thread_cache import malloc_and_free

_PER_SIZE: Final = 7
"""Freed blocks of one size that the cache of a thread holds at most."""
_THREAD_SIZES: Final = tuple(size for size in range(24, 73, 16) for _ in range(_PER_SIZE))
"""Bytes of the blocks that malloc gives to a thread that starts and to the locks it uses."""
_SMALL_SIZES: Final = tuple(size for size in range(24, 512, 16) for _ in range(_PER_SIZE))
"""Bytes of blocks that hold no Python object, but that the interpreter gets from malloc itself:
for one, what it hands to a new thread."""
_LARGE_SIZES: Final = tuple(size for size in range(512, 1025, 16) for _ in range(_PER_SIZE))
"""Lengths of bytearrays whose buffers, each a byte longer, Python gets from malloc."""

_BLOCKS: Final[list[Any]] = [None] * len(_LARGE_SIZES)
"""Holds the blocks while all are alive. A list that grew would take one more block of some
sizes, and free it into the cache each time, among those that the calls have just freed."""


def fill_tcache() -> None:
    """Fill the thread cache: seven freed blocks of each size.

    glibc counts cached blocks as used. Calls that need blocks of many sizes leave a few of each
    in the cache, so the C heap seems to grow, over hundreds of calls, until there are seven of
    each size. Where a thread frees a block that the thread which started it had allocated, the
    cache of the latter has one block less, and gets seven more at every seventh thread. With a
    full cache at every reading, growth is what the calls keep. glibc caches no larger blocks
    than these. It takes some 100 microseconds, and 240 KiB the first time.
    """
    for at in range(len(_LARGE_SIZES)):
        _BLOCKS[at] = bytearray(_LARGE_SIZES[at])
    for at in range(len(_LARGE_SIZES)):
        _BLOCKS[at] = None
    _take_and_free(_SMALL_SIZES)


def fill_tcache_of_threads() -> None:
    """Fill the cache with the sizes that threads need only: it takes some 10 microseconds."""
    _take_and_free(_THREAD_SIZES)


def _take_and_free(sizes: tuple[int, ...]) -> None:
    take, free = malloc_and_free()
    for at in range(len(sizes)):
        _BLOCKS[at] = take(sizes[at])
    for at in range(len(sizes)):
        free(_BLOCKS[at])
        _BLOCKS[at] = None
