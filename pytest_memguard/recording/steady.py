"""Makes the C library handle memory alike whatever ran before: one arena, and large blocks."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from typing import Any, Final

# from malloc.h of glibc
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8
_LARGE: Final = 128 * 1024


def share_one_arena() -> bool:
    """Have threads that start from now on share the arenas there are.

    By default glibc gives each thread an arena of its own, and never gives back what is free
    at the end of one: memory of a test's threads stays resident, other threads use it again,
    and the kernel's mark does not rise for it. A limit that the user has set stays in force.

    Returns:
        Whether the C library took it.
    """
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    if "MALLOC_ARENA_MAX" in os.environ or "glibc.malloc.arena_max" in tunables:
        return False
    return _set({_ARENA_MAX: 1})


def steady_allocator() -> bool:
    """Map every block from 128 KiB on and unmap it when it is freed; share one arena.

    The threshold for mapping blocks moves as blocks are freed otherwise, which hides memory by
    what other tests did. An arena that a thread has already keeps no more than as much at its
    end. 128 KiB is glibc's own threshold at the start of a process. It stays as it is from
    now on.

    Returns:
        Whether the C library took it.
    """
    return _set({_MMAP_THRESHOLD: _LARGE, _TRIM_THRESHOLD: _LARGE, _ARENA_MAX: 1})


def _set(wanted: dict[int, int]) -> bool:
    libc = _glibc()
    return libc is not None and all(libc.mallopt(name, value) for name, value in wanted.items())


def _glibc() -> Any | None:
    """The C library, if it is glibc: musl has another mallopt, or none."""
    if sys.platform != "linux":
        return None
    with contextlib.suppress(OSError, AttributeError, TypeError):
        libc = ctypes.CDLL(None)
        libc.gnu_get_libc_version()
        return libc
    return None
