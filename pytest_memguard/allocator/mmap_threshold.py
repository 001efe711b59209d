"""Pins glibc's mmap threshold and arenas, so that it treats large blocks alike every time."""

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
    """Set the mmap threshold to 1 MiB, and let threads share the existing arenas.

    By default glibc raises the threshold, up to 32 MiB, whenever a mapped block is freed, and
    takes blocks below it from its heap. These leave free chunks there, which other tests use
    without raising the high-water mark, and which libraries have asked the kernel to back with
    huge pages. And each thread gets an arena of its own, which never returns the free memory
    at its end. What the user has set stays in force.

    Returns:
        Whether glibc accepted a setting.
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


def pin_mmap_threshold() -> bool:
    """Pin the mmap threshold at 128 KiB, and let threads share one arena.

    A block from 128 KiB on is mapped, and unmapped when it is freed. Unless it is pinned the
    threshold moves as blocks are freed, so a test's peak depends on what other tests did.
    128 KiB is glibc's threshold at the start of a process. An arena that a thread already has
    keeps at most as much free memory at its end.

    Returns:
        Whether glibc accepted it.
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
