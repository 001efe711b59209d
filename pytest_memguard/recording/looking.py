"""The protocol by which a leak check reads its signals."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Protocol

from pytest_memguard.leaks import Signal


class Looking(Protocol):
    """How the signals are read: `recording.looks.Looks`, or what stands for it."""

    @property
    def signals(self) -> Sequence[Signal]:
        """What is read, in the order of a row."""

    def row(self) -> array[int]:
        """Room for one reading of every signal."""

    def look(
        self,
        row: array[int],
        *,
        settle: bool,
        types: bool = False,
        before: array[int] | None = None,
    ) -> None:
        """Read every signal into a row."""

    def collect(self) -> None:
        """Collect garbage."""

    def collect_frozen(self, *, always: bool = False, explained: bool = False) -> bool:
        """Collect garbage of the whole heap; whether there was any."""

    def settle(self, *, types: bool = True) -> None:
        """Collect garbage once the caches that fill with use are empty."""

    def keep_caches(self) -> None:
        """Empty the standard library's caches no more."""
