"""Reads what the process has in use: resident memory, Python's blocks and the C heap."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

from pytest_memguard.clock import Clock
from pytest_memguard.values import dataclass

_CHEAP_SECONDS: Final = 2e-3
_SHARE_OF_TIME: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class InUse:
    """What the process had in use at one moment."""

    resident: int
    """Resident bytes."""
    blocks: int | None = None
    """Blocks of Python's allocators; ``None`` if they were not counted."""
    heap: int | None = None
    """Bytes of the C heap, mapped blocks included; ``None`` if they were not read."""
    small: int | None = None
    """Bytes in pymalloc's blocks; ``None`` if they were not read."""


class InUseProbe:
    """Reads what the process has in use.

    Counting blocks takes 1 microsecond in a small process and a millisecond in one of a
    gigabyte, and so does reading a fragmented C heap. If that takes more than two milliseconds
    twice in a row, at most a tenth of the time is spent on it, unless the caller insists.

    Args:
        resident: returns resident bytes.
        small: returns the bytes in pymalloc's blocks, in 0.03 to 2 milliseconds, or ``None``
            while it cannot; ``None`` if the interpreter never reports them.
        heap: returns the bytes of the C heap; by default psutil's ``heap_info``.
        blocks: counts the blocks of Python's allocators.
    """

    def __init__(
        self,
        resident: Callable[[], int],
        small: Callable[[], int | None] | None,
        heap: Callable[[], int | None] | None = None,
        blocks: Callable[[], int] = sys.getallocatedblocks,
    ) -> None:
        self._resident = resident
        self._small = small
        self._heap = heap or _heap_reader()
        self._blocks = blocks
        self._now, self._cpu = Clock.seconds, Clock.cpu
        self._due = self._cost = self._counting = 0.0

    def resident_only(self) -> InUse:
        """Read resident memory alone, in a microsecond."""
        return InUse(resident=self._resident())

    def _without_heap(self) -> InUse:
        """Read resident memory, and the number of blocks unless counting them is slow."""
        if self._counting > _CHEAP_SECONDS:
            return self.resident_only()
        return InUse(resident=self._resident(), blocks=self._blocks())

    def read_like(self, before: InUse) -> InUse:
        """Read the same quantities as before, if they are cheap, to compare both."""
        if before.blocks is None:
            return self.resident_only()
        if before.heap is None:
            return self._without_heap()
        return self.read(whole=False, again=True)

    def read(self, *, whole: bool, again: bool = False) -> InUse:
        """Read all quantities that are cheap now.

        Args:
            whole: read everything, however long that takes.
            again: read the same quantities as just before, to compare the two readings.
        """
        if not (whole or again) and self._now() < self._due:
            return self._without_heap()
        start = self._cpu()
        blocks = self._blocks()
        self._counting = self._cpu() - start
        found = InUse(
            resident=self._resident(),
            blocks=blocks,
            heap=self._heap(),
            small=self._small() if whole and self._small is not None else None,
        )
        if not whole:
            cost, before = self._cpu() - start, self._cost
            self._cost = cost
            # where other processes use the caches it may take long once
            due = self._now() + cost * _SHARE_OF_TIME
            self._due = due if min(cost, before) > _CHEAP_SECONDS else 0.0
        return found


def _heap_reader() -> Callable[[], int | None]:
    import psutil

    heap_info: Any = getattr(psutil, "heap_info", None)
    if heap_info is None:
        return lambda: None

    def read() -> int:
        info = heap_info()
        return int(info.heap_used + info.mmap_used)

    return read
