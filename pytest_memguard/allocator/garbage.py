"""Collects garbage for a leak check; of the whole heap in a small share of the time."""

from __future__ import annotations

import gc
from typing import Final

from pytest_memguard.clock import Clock

_SHARE_OF_TIME: Final = 50
_EXPENSIVE_SECONDS: Final = 0.05
"""Seconds of a full collection from which the interpreter makes no more by itself."""
_SPARSE_COLLECTIONS: Final = 1_000_000
"""Collections of the middle generation after which it would make one."""


def collect(generation: int = 2) -> int:
    """Collect garbage without calling ``gc.callbacks``.

    A check spends most of its time collecting. The interpreter drops what a callback raises,
    and so a user's interrupt that arrives meanwhile: Python raises it in the first code that
    runs, which would be the callback.

    Args:
        generation: the oldest one to collect.

    Returns:
        How many objects were unreachable.
    """
    callbacks = gc.callbacks[:]
    try:
        gc.callbacks.clear()
        return gc.collect(generation)
    finally:
        gc.callbacks[:] = callbacks


class WholeHeap:
    """Makes full collections in place of the interpreter, and not too often.

    The interpreter makes one when there are a quarter more objects than at the last one. A
    check collects while nearly all of the heap is frozen, and the interpreter takes the rest
    for all there was. On a large heap it would then spend more time on garbage than all
    tests take together.
    """

    def __init__(self) -> None:
        self._due = 0.0
        self._thresholds: tuple[int, int, int] | None = None

    def collect(self) -> None:
        """Collect all generations, or the younger ones if that was not long ago."""
        start = Clock.cpu()
        if start < self._due:
            collect(1)
            return
        collect()
        end = Clock.cpu()
        self._due = end + _SHARE_OF_TIME * (end - start)
        if end - start > _EXPENSIVE_SECONDS and self._thresholds is None:
            self._thresholds = gc.get_threshold()
            gc.set_threshold(*self._thresholds[:2], _SPARSE_COLLECTIONS)

    def close(self) -> None:
        """Let the interpreter make full collections again."""
        if self._thresholds is not None and gc.get_threshold()[2] == _SPARSE_COLLECTIONS:
            gc.set_threshold(*self._thresholds)
        self._thresholds = None
