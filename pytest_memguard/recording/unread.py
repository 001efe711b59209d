"""Stands for a meter of resident memory where nothing tells how much of it there is."""

from __future__ import annotations

from collections.abc import Callable

from pytest_memguard.metrics import RSS
from pytest_memguard.model import Method
from pytest_memguard.probes.lifetime_peak import DRIFT


class UnreadResident:
    """Knows bounds of a peak by the lifetime high-water mark, and no level.

    The process used at least what the mark has risen by: it was above the old mark by that
    much, and the level at the start was not above it. It used at most the whole mark. Its
    other numbers mean nothing, as `lost` says. If the mark falls, something else has put it
    back, and it is not used any more.

    Args:
        lost: why nothing tells the level.
        lifetime: returns the lifetime high-water mark in bytes; ``None`` where there is none.
    """

    metric = RSS
    hooks_allocators = False
    running = True
    method: Method = "kernel mark"

    def __init__(self, lost: str, lifetime: Callable[[], int] | None) -> None:
        self.lost = lost
        self._lifetime = lifetime
        self._start = 0

    def start(self) -> None:
        """Nothing to do: the kernel always counts."""

    def stop(self) -> None:
        """Nothing to undo."""

    def level(self) -> int:
        """Return the mark in bytes, which is no level; 0 where there is none."""
        return self._lifetime() if self._lifetime is not None else 0

    def restart(self) -> int:
        """Note where the mark is, and return that in bytes."""
        self._start = self.level()
        return self._start

    def read(self) -> tuple[int, int]:
        """Return the mark, and how far it has surely risen above that at `restart`."""
        mark = self.level()
        if mark < self._start:
            self._lifetime = None
        return mark, max(self._start, mark - DRIFT)

    def missed(self, start: int, high: int) -> int | None:
        """Bytes by which the peak may be more than ``high - start``: up to the whole mark."""
        if self._lifetime is None:
            return None
        return max(0, self._lifetime() + DRIFT - (high - start))
