"""What resident memory shows of a peak that memray did not count."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pytest_memguard.metrics import HEAP
from pytest_memguard.model import Peak
from pytest_memguard.sizes import MIB

# The stacks of threads, the heads of pymalloc's pools and memray's own tables are resident and
# in no count: up to 3 MiB for a million blocks.
_NEGLIGIBLE: Final = 4 * MIB
_SHARE: Final = 0.1


def heap_peak(counted: int, rise: int, mapped: int | None, waste: Callable[[], int]) -> Peak:
    """The peak of the heap, with what memray may have missed as its upper bound.

    memray sees the calls of libraries to the allocators. It does not see those that the code
    looks up itself: ctypes, cffi, a JIT compiler, system calls.

    Args:
        counted: bytes memray counted at its high-water mark.
        rise: bytes resident memory rose by in the same time, at least.
        mapped: bytes of them that are pages of files, memray's own among them; ``None``
            where the system does not tell.
        waste: returns the bytes the allocators have added to what was counted; takes a while.
    """
    extra = 0
    if mapped is not None:
        least = max(_NEGLIGIBLE, int(counted * _SHARE))
        extra = rise - max(0, mapped) - counted
        if extra > least:
            extra -= waste()
        extra = extra if extra > least else 0
    return Peak(
        metric=HEAP.name,
        value=counted,
        high=counted + extra,
        method="memray",
        bound="uncounted" if extra else "slack",
    )
