"""Trims the C heap before a reading, at a bounded cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pytest_memguard.clock import Clock
from pytest_memguard.errors import Unmeasurable

_CHEAP_SECONDS: Final = 50e-6
EXPENSIVE_SECONDS: Final = 2 * _CHEAP_SECONDS
"""Seconds of trimming, with little else, from which its cost is measured again."""
_SHARE_OF_TIME: Final = 50


class Trimmer:
    """Has malloc return the free pages of the C heap to the system.

    That takes a microsecond on most heaps and up to tens of milliseconds on a large
    fragmented one, as does counting the bytes in use. On such a heap the trimmer trims only
    if resident memory has risen since the last time, if fewer bytes are in use, or if fifty
    times the cost of trimming has passed; and it counts the bytes in use only if fifty times
    the cost of counting has.

    Args:
        level: returns resident bytes.
        trim: returns free pages to the system; by default psutil's ``heap_trim``.
        used: returns bytes in use on the C heap; by default psutil's ``heap_info``.

    Attributes:
        trim: returns free pages to the system.
        cheap: whether that cost so little the last time that it may be called directly.

    Raises:
        Unmeasurable: if the C library cannot trim its heap.
    """

    def __init__(
        self,
        level: Callable[[], int],
        trim: Callable[[], object] | None = None,
        used: Callable[[], int] | None = None,
    ) -> None:
        self._level = level
        self.trim = trim or _heap_trim()
        self._used = used or _heap_used
        self._now, self._cpu = Clock.seconds, Clock.cpu
        self._cost = 0.0
        self.cheap = False
        self._due = self._used_due = 0.0
        self._level_after = self._used_after = self._freed = 0

    def __call__(self, tolerance: int) -> None:
        """Trim, unless that is expensive and cannot matter.

        Args:
            tolerance: bytes that do not matter; a negative number trims in any case.
        """
        if (
            self._cost > _CHEAP_SECONDS
            and self._now() < self._due
            and self._slack() <= tolerance
        ):
            return
        start = self._cpu()
        self.trim()
        again = self._cpu()
        self._cost = again - start
        self.cheap = self._cost <= _CHEAP_SECONDS
        if self._cost > _CHEAP_SECONDS:
            # expensive because of what there was to return, or every time?
            self.trim()
            self._cost = self._cpu() - again
        if self._cost > _CHEAP_SECONDS:
            self._level_after, self._used_after = self._level(), self._ask()
            self._freed = 0
            self._due = self._now() + (self._cpu() - start) * _SHARE_OF_TIME

    def _slack(self) -> int:
        """Return the bytes by which the slack in the heap has grown since then, if known.

        Resident memory counts from where it was lowest: other memory that the process has
        returned since then must not hide what was freed in the heap.
        """
        if self._now() >= self._used_due:
            self._freed = max(0, self._used_after - self._ask())
        level = self._level()
        self._level_after = min(self._level_after, level)
        return level - self._level_after + self._freed

    def _ask(self) -> int:
        """Return the bytes in use on the heap, and note when they may be counted again."""
        start = self._cpu()
        used = self._used()
        self._used_due = self._now() + (self._cpu() - start) * _SHARE_OF_TIME
        return used


class Untrimmed:
    """Takes the place of `Trimmer` where the C heap cannot be trimmed: one of the gaps."""

    cheap = True

    def trim(self) -> None:
        """Do nothing."""

    def __call__(self, tolerance: int) -> None:
        """Do nothing.

        Args:
            tolerance: as for `Trimmer`.
        """


def _heap_trim() -> Callable[[], object]:
    import psutil

    trim: Callable[[], object] | None = getattr(psutil, "heap_trim", None)
    if trim is None:
        msg = "the C library has no way to give free pages back (psutil.heap_trim)"
        raise Unmeasurable(msg)
    return trim


def _heap_used() -> int:
    import psutil

    return int(psutil.heap_info().heap_used)
