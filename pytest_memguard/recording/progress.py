"""Lets a leak check be watched while it lasts: how many calls it made, and what it has read."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Protocol

from pytest_memguard.leaks import Signal
from pytest_memguard.probes.counters import Counters
from pytest_memguard.recording.looks import Looks


class Progress(Protocol):
    """Watches a check; nothing it keeps may become more with the calls."""

    def called(self) -> None:
        """One more call has been made."""

    def has_read(self, signals: Sequence[Signal], row: array[int]) -> None:
        """Every signal has been read."""


class WatchedLooks(Looks):
    """Reads the same, and passes it on.

    Args:
        counters: what to read.
        respect_disabled: as for `Looks`.
        frozen: as for `Looks`, too.
        watcher: gets every reading.
    """

    def __init__(
        self,
        counters: Counters,
        *,
        respect_disabled: bool,
        frozen: bool,
        watcher: Progress | None,
    ) -> None:
        super().__init__(counters, respect_disabled=respect_disabled, frozen=frozen)
        self._watcher = watcher

    def look(
        self,
        row: array[int],
        *,
        settle: bool,
        types: bool = False,
        before: array[int] | None = None,
    ) -> None:
        """Read every signal, and pass them on."""
        super().look(row, settle=settle, types=types, before=before)
        if self._watcher is not None:
            self._watcher.has_read(self.signals, row)


def watched(call: Callable[[], None], watcher: Progress | None) -> Callable[[], None]:
    """A call that counts; the call itself where nothing watches."""
    if watcher is None:
        return call

    def counted() -> None:
        call()
        watcher.called()

    return counted
