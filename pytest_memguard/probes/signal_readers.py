"""Readers of single signals, as a leak check needs them between calls."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

from pytest_memguard.sizes import KIB

Reader = Callable[[], int]
MOST_CHILDREN_BYTES: Final = 1 << 16


def heap_used(cached: Reader = int) -> Reader | None:
    """Return a reader of the bytes in use on the C heap; ``None`` if there is none.

    Args:
        cached: returns the bytes that count as in use and are not.
    """
    import psutil

    info: Any = getattr(psutil, "heap_info", None)
    if info is None:
        return None

    def c_heap() -> int:
        now = info()
        return int(now.heap_used + now.mmap_used) - cached()

    return c_heap


def heap_free() -> Reader:
    """Return a reader of the free bytes of the C heap; it reads 0 if they are not known."""
    if sys.platform != "linux":
        return int
    from pytest_memguard.probes.c_heap import CHeap

    try:
        return CHeap().free_chunks
    except (AttributeError, OSError):
        return int


class Latest:
    """A reader that remembers its last reading.

    Args:
        read: the reader.

    Attributes:
        value: the last reading.
    """

    __slots__ = ("_read", "value")

    def __init__(self, read: Reader) -> None:
        self._read = read
        self.value = 0

    def __call__(self) -> int:
        """Read."""
        self.value = self._read()
        return self.value


def own_pages(status: bytes) -> int:
    """Return the bytes of anonymous and shared-memory pages, from /proc/self/status."""
    pages = 0
    for name in (b"RssAnon:", b"RssShmem:"):
        at = status.find(name)
        if at >= 0:
            pages += int(status[at + len(name) : at + len(name) + 24].split(None, 1)[0])
    return pages * KIB


def read_file(path: str) -> bytes:
    """Return the content of a file of the kernel, as far as it lists children."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, MOST_CHILDREN_BYTES)
    finally:
        os.close(descriptor)


def python_threads() -> int:
    """Return the number of threads that Python has started."""
    return threading.active_count()


def asyncio_tasks() -> int:
    """Return the number of tasks that are not done, in all event loops."""
    asyncio = sys.modules.get("asyncio.tasks")
    if asyncio is None:
        return 0
    known: Any = getattr(asyncio, "_all_tasks", None) or getattr(
        asyncio, "_scheduled_tasks", ()
    )
    for _ in range(3):
        try:
            return sum(1 for task in list(known) if not task.done())
        except RuntimeError:  # another thread has just added one
            continue
    return 0


def uncollectable_objects() -> int:
    """Return the number of objects that the garbage collector could not free."""
    return len(gc.garbage)
