"""A meter of peak RSS for when resident memory cannot be read: it knows bounds only."""

from __future__ import annotations

from collections.abc import Callable

from pytest_memguard.model.measurements import Method
from pytest_memguard.model.metrics import RSS
from pytest_memguard.probes.lifetime_peak import DRIFT


class UnreadResident:
    """Knows bounds of a peak from the lifetime peak, and no level.

    The process used at least what the lifetime peak has risen by: it was above the old one by
    that much, and the level at the start was not above it. It used at most the whole lifetime
    peak. Its other numbers are not valid, as `lost` says. If the lifetime peak falls, other
    code has reset it, and it is not used any more.

    Args:
        lost: why the level cannot be read.
        lifetime: returns the lifetime peak in bytes; ``None`` if there is none.
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
        """Do nothing: the kernel always measures."""

    def stop(self) -> None:
        """Do nothing."""

    def level(self) -> int:
        """Return the lifetime peak in bytes, which is no level; 0 if there is none."""
        return self._lifetime() if self._lifetime is not None else 0

    def restart(self) -> int:
        """Remember the lifetime peak, and return it in bytes."""
        self._start = self.level()
        return self._start

    def read(self) -> tuple[int, int]:
        """Return the lifetime peak, and how far it has surely risen since `restart`."""
        mark = self.level()
        if mark < self._start:
            self._lifetime = None
        return mark, max(self._start, mark - DRIFT)

    def missed(self, start: int, high: int) -> int | None:
        """Return by how many bytes the peak may exceed ``high - start``."""
        if self._lifetime is None:
            return None
        return max(0, self._lifetime() + DRIFT - (high - start))
