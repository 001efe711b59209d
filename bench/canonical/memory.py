"""Ways to use memory, and how much of it is over and within a budget."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np
import pytest

MIB = 1024**2
SHARES = {"over": 1.5, "within": 0.5}
"""What a test uses of its budget, by the word in its name."""
OVER, WITHIN = SHARES.values()


def block(mebibytes: float) -> bytearray:
    """One block, which the C library maps or takes from its heap."""
    return bytearray(int(mebibytes * MIB))


def small_objects(mebibytes: float) -> list[bytes]:
    """Objects in the arenas of Python's allocator: 480 bytes each, and 8 in the list."""
    return [bytes(447) for _ in range(int(mebibytes * MIB / 488))]


def small_lists(mebibytes: float) -> list[list[int]]:
    """Containers that the collector follows: 120 bytes each, with its number and its place."""
    return [[number] for number in range(int(mebibytes * MIB / 120))]


def medium_blocks(mebibytes: float) -> list[bytes]:
    """Blocks on the C heap: 20,000 bytes each."""
    return [bytes(20_000) for _ in range(int(mebibytes * MIB / 20_033))]


def array(mebibytes: float) -> np.ndarray:
    """An array that numpy allocates and touches."""
    return np.ones(int(mebibytes * MIB / 8))


def in_thread(mebibytes: float) -> None:
    """One block, taken by a thread of the test's own."""
    thread = threading.Thread(target=block, args=(mebibytes,))
    thread.start()
    thread.join()


def shares(limit: float, **budget: object) -> list[object]:
    """Parameters for a test that uses its argument in MiB: one over its budget, one within.

    Args:
        limit: of the budget, in MiB.
        budget: the other arguments of the marker.
    """
    mark = pytest.mark.mem_budget(limit, **budget)
    return [pytest.param(limit * share, marks=mark, id=word) for word, share in SHARES.items()]


WAYS: Sequence[Callable[[float], object]] = (
    block,
    small_objects,
    medium_blocks,
    array,
    in_thread,
)
"""Ways to use memory that all three metrics count, none of them in many small steps."""
