"""Repeats an expensive reading so rarely that it takes little of the time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

_SHARE_OF_TIME: Final = 200
"""So many times as long as an expensive reading took, it is not repeated."""


class Sparing:
    """An expensive reading, repeated so rarely that it takes 0.5 % of the time.

    Args:
        read: reads it.
        now: the clock.
        pause: least seconds between two readings.
    """

    def __init__(
        self,
        read: Callable[[], int | None],
        now: Callable[[], float],
        pause: float = 0.0,
    ) -> None:
        self._read = read
        self._now = now
        self._pause = pause
        self._due: float | None = None
        self._latest: int | None = None

    def value(self, *, fresh: bool = False) -> int | None:
        """Return the latest value, read again if it is due, or if it has to be fresh."""
        start = self._now()
        if fresh or self._due is None or start >= self._due:
            began = time.perf_counter()
            self._latest = self._read()
            took = time.perf_counter() - began
            self._due = start + max(_SHARE_OF_TIME * took, self._pause)
        return self._latest

    def forget(self) -> None:
        """Read it again when it is asked for next."""
        self._due = None
