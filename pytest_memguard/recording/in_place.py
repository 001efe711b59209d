"""Notices growth inside small blocks, which neither their number nor the C heap shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pytest_memguard.probes.slack import parse_malloc_stats

_LEAST: Final = 16
"""Bytes per call that count: the sizes of pymalloc's blocks differ by that much."""


class GrowthInPlace:
    """Compares the bytes in pymalloc's blocks before and after some calls.

    A buffer of up to 512 bytes that grows moves from a block to a larger one. Their number
    stays, and it is on the C heap only later.

    Args:
        read: returns pymalloc's statistics, which take more than 512 bytes; empty where there
            are none.
    """

    def __init__(self, read: Callable[[], bytes]) -> None:
        self._read = read
        self._before = self._after = b""

    def note(self, *, instead: bool = False) -> None:
        """Read the statistics, before or after some calls.

        Args:
            instead: whether the latest reading does not count.
        """
        if not instead:
            self._before = self._after
        self._after = self._read()

    def has_grown(self, calls: int) -> bool:
        """Return whether there were more bytes at the latest note than at the one before it.

        Args:
            calls: how many were made between the two.
        """
        # most calls leave every number as it was, and parsing takes longer than printing
        if self._before == self._after or not (self._before and self._after):
            return False
        before, after = map(parse_malloc_stats, (self._before, self._after))
        return after.used - before.used >= _LEAST * calls
