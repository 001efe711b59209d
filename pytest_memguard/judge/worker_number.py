"""Works out how many workers fit into the memory."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import nlargest


def workers_that_fit(
    cores: int, free: int, level: int, peaks: Iterable[int]
) -> tuple[int, int]:
    """Return the number of workers, and the bytes that each of them takes.

    The highest peaks may meet, one in each worker.

    Args:
        cores: number of workers without regard to memory.
        free: bytes for all of them.
        level: bytes that a worker holds between tests.
        peaks: what tests need above that.
    """
    highest = nlargest(cores, peaks)
    for workers in range(max(1, cores), 0, -1):
        whole = workers * level + sum(highest[:workers])
        if whole <= free or workers == 1:
            return workers, whole // workers
    return 1, level
