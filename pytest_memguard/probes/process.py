"""Takes a snapshot of this process: memory, blocks, open files, threads."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from pytest_memguard.probes.resident import resident_reader
from pytest_memguard.units import Size
from pytest_memguard.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Numbers of this process at one moment; ``None`` if the platform does not report them."""

    rss: Size
    """Resident memory."""
    uss: Size | None
    """Memory that would be released if the process ended."""
    heap: Size | None
    """Bytes in use on the C heap, mapped blocks included."""
    blocks: int
    """Number of blocks that Python's allocators have handed out."""
    open_files: int | None
    """Open descriptors or handles."""
    threads: int
    """Number of threads, native ones included if the system lists them."""


def take_snapshot() -> Snapshot:
    """Take a snapshot, in a few hundred microseconds.

    Raises:
        Unmeasurable: if nothing reports resident memory.
    """
    import psutil

    full = _asked(lambda process: process.memory_full_info())
    rss = full.rss if full is not None else resident_reader()()
    uss = getattr(full, "uss", None)
    heap_info = getattr(psutil, "heap_info", None)
    heap = heap_info() if heap_info is not None else None
    threads = _asked(lambda process: process.num_threads())
    return Snapshot(
        rss=Size(rss),
        uss=None if uss is None else Size(uss),
        heap=None if heap is None else Size(heap.heap_used + heap.mmap_used),
        blocks=sys.getallocatedblocks(),
        open_files=_asked(
            lambda process: (process.num_handles if os.name == "nt" else process.num_fds)()
        ),
        threads=threading.active_count() if threads is None else threads,
    )


def _asked(ask: Callable[[Any], Any]) -> Any:
    """Return psutil's answer about this process; ``None`` if it has none.

    Args:
        ask: asks a `psutil.Process`.
    """
    import psutil

    try:
        return ask(psutil.Process())
    except (AttributeError, OSError, psutil.Error):
        return None
