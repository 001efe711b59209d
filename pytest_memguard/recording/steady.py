"""Makes the C library handle large blocks alike in every run, where peaks are compared."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from typing import Final

# from malloc.h of glibc; its threshold for mapping blocks moves as blocks are freed, and each
# thread gets an arena that gives nothing back: both hide memory by what other tests did
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8
_LARGE: Final = 128 * 1024


def steady_allocator() -> bool:
    """Map every block from 128 KiB on and unmap it when it is freed; share one arena.

    An arena that a thread has already keeps no more than as much at its end. 128 KiB is
    glibc's own threshold at the start of a process. It stays as it is from now on.

    Returns:
        Whether the C library took it.
    """
    if sys.platform != "linux":
        return False
    with contextlib.suppress(OSError, AttributeError, TypeError):
        libc = ctypes.CDLL(None)
        libc.gnu_get_libc_version()  # musl has another mallopt, or none
        wanted = {_MMAP_THRESHOLD: _LARGE, _TRIM_THRESHOLD: _LARGE, _ARENA_MAX: 1}
        return all(libc.mallopt(option, value) for option, value in wanted.items())
    return False
