"""A single reading of this process: memory, blocks, open files, threads."""

from __future__ import annotations

import sys

from pytest_memguard.units import Size
from pytest_memguard.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What one look at the process showed; ``None`` where the platform does not tell."""

    rss: Size
    """Resident memory."""
    uss: Size | None
    """Memory that would be free if the process ended."""
    heap: Size | None
    """Bytes in use on the C heap, mapped blocks included."""
    blocks: int
    """Small blocks Python's allocator has handed out."""
    open_files: int | None
    """Open descriptors or handles."""
    threads: int
    """Threads, native ones included."""


def take_snapshot() -> Snapshot:
    """Look once; a few hundred microseconds."""
    import psutil

    process = psutil.Process()
    full = process.memory_full_info()
    uss = getattr(full, "uss", None)
    heap_info = getattr(psutil, "heap_info", None)
    heap = heap_info() if heap_info is not None else None
    count_files = getattr(process, "num_fds", None) or getattr(process, "num_handles", None)
    return Snapshot(
        rss=Size(full.rss),
        uss=None if uss is None else Size(uss),
        heap=None if heap is None else Size(heap.heap_used + heap.mmap_used),
        blocks=sys.getallocatedblocks(),
        open_files=None if count_files is None else count_files(),
        threads=process.num_threads(),
    )
