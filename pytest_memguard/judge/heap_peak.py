"""The peak of the heap, with the upper bound that resident memory shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pytest_memguard.model.measurements import Peak
from pytest_memguard.model.metrics import HEAP
from pytest_memguard.sizes import MIB

# memray does not count stacks of threads, headers of pymalloc's pools and its own tables, which
# are resident: up to 3 MiB for a million blocks.
_NEGLIGIBLE: Final = 4 * MIB
_SHARE: Final = 0.1


def heap_peak(counted: int, rise: int, mapped: int | None, waste: Callable[[], int]) -> Peak:
    """Return the peak of the heap; its upper bound includes what memray may have missed.

    memray hooks the calls of libraries to the allocators. It does not see calls to functions
    that code looks up itself (ctypes, cffi, JIT compilers), nor system calls.

    Args:
        counted: bytes that memray counted at its high-water mark.
        rise: bytes by which resident memory rose at least in the same time.
        mapped: how many of them are pages of files, memray's own file included; ``None`` if the
            system does not report them.
        waste: returns the bytes that the allocators added to what was counted; it is slow.
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
