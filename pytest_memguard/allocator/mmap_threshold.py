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
_VERY_LARGE: Final = 1024 * 1024
_ARENAS: Final = ("MALLOC_ARENA_MAX", "glibc.malloc.arena_max")
_THRESHOLDS: Final = (
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_TRIM_THRESHOLD_",
    "MALLOC_TOP_PAD_",
    "glibc.malloc.mmap_threshold",
    "glibc.malloc.trim_threshold",
    "glibc.malloc.top_pad",
)


def give_back_large_blocks() -> bool:
    """Unmap every block from 1 MiB on when it is freed, and share the arenas there are.

    Otherwise glibc maps smaller blocks only once it has seen a large one freed: up to 32 MiB
    come from its heap then. They leave holes there that other tests use without raising the
    kernel's mark, and that libraries have told the kernel to fill with huge pages. And each
    thread gets an arena of its own, which never gives back what is free at its end. What the
    user has set stays in force.

    Returns:
        Whether the C library took something.
    """
    wanted: dict[int, int] = {}
    if not _is_set(_ARENAS):
        wanted[_ARENA_MAX] = 1
    if not _is_set(_THRESHOLDS):
        wanted |= {_MMAP_THRESHOLD: _VERY_LARGE, _TRIM_THRESHOLD: _VERY_LARGE}
    return bool(wanted) and _set(wanted)


def _is_set(names: tuple[str, ...]) -> bool:
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    return any(name in os.environ or name in tunables for name in names)


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
