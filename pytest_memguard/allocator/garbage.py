"""Collects garbage for a check, the whole heap for a small share of the time."""

from __future__ import annotations

import gc
from typing import Final

from pytest_memguard.clock import Clock

_SHARE_OF_TIME: Final = 50
_DEAR: Final = 0.05
"""Seconds of a collection of the whole heap from which on the interpreter makes none itself."""
_SELDOM: Final = 1_000_000


def collect(generation: int = 2) -> int:
    """Collect garbage without a word to ``gc.callbacks``.

    A check collects most of the time. What a callback raises is lost, and so is the interrupt
    of a user that arrives meanwhile: it would be raised in the first Python code that runs.

    Args:
        generation: the oldest to collect.

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
    """Collects the garbage of the whole heap now and then, in place of the interpreter.

    The interpreter does so when there is a quarter more than at the last time. A check
    collects in a heap that is frozen but for a little, and the interpreter takes this little
    for all there was. On a large heap it would then spend more time on garbage than all
    tests take together.
    """

    def __init__(self) -> None:
        self._due = 0.0
        self._thresholds: tuple[int, int, int] | None = None

    def collect(self) -> None:
        """Collect the garbage of the whole heap, or what is young if that was not long ago."""
        start = Clock.cpu()
        if start < self._due:
            collect(1)
            return
        collect()
        end = Clock.cpu()
        self._due = end + _SHARE_OF_TIME * (end - start)
        if end - start > _DEAR and self._thresholds is None:
            self._thresholds = gc.get_threshold()
            gc.set_threshold(*self._thresholds[:2], _SELDOM)

    def close(self) -> None:
        """Leave the whole heap to the interpreter again."""
        if self._thresholds is not None and gc.get_threshold()[2] == _SELDOM:
            gc.set_threshold(*self._thresholds)
        self._thresholds = None
