"""The protocol through which a leak check reads its signals."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Protocol

from pytest_memguard.model.leaks import Signal


class SignalReading(Protocol):
    """Reads the signals: `recording.settled_signals.SettledSignals`, or a replacement."""

    @property
    def signals(self) -> Sequence[Signal]:
        """The signals, in the order of a row."""

    def row(self) -> array[int]:
        """Return an array for one reading of every signal."""

    def read(
        self,
        row: array[int],
        *,
        settle: bool,
        types: bool = False,
        before: array[int] | None = None,
    ) -> None:
        """Read every signal into a row."""

    def small_blocks(self) -> bytes:
        """Return pymalloc's statistics; empty where there are none."""

    def collect(self) -> None:
        """Collect garbage."""

    def collect_frozen(self, *, always: bool = False, explained: bool = False) -> bool:
        """Collect garbage of the whole heap, and return whether there was any."""

    def settle(self, *, types: bool = True) -> None:
        """Empty caches that fill with use, and collect garbage."""

    def keep_caches(self) -> None:
        """Stop emptying the standard library's caches."""
