"""Lets a leak check be watched while it runs."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Protocol

from pytest_memguard.model.leaks import Signal
from pytest_memguard.probes.counters import Counters
from pytest_memguard.recording.settled_signals import SettledSignals


class Progress(Protocol):
    """Watches a leak check; what it keeps must not grow with the calls."""

    def called(self) -> None:
        """Note that one more call was made."""

    def has_read(self, signals: Sequence[Signal], row: array[int]) -> None:
        """Note a reading of every signal."""


class WatchedSignals(SettledSignals):
    """Reads the signals, and passes each reading on.

    Args:
        counters: reads the single signals.
        respect_disabled: as for `SettledSignals`.
        frozen: as for `SettledSignals`.
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

    def read(
        self,
        row: array[int],
        *,
        settle: bool,
        types: bool = False,
        before: array[int] | None = None,
    ) -> None:
        """Read every signal, and pass the reading on."""
        super().read(row, settle=settle, types=types, before=before)
        if self._watcher is not None:
            self._watcher.has_read(self.signals, row)


def watched(call: Callable[[], None], watcher: Progress | None) -> Callable[[], None]:
    """Return a call that reports to a watcher; the call itself without a watcher."""
    if watcher is None:
        return call

    def counted() -> None:
        call()
        watcher.called()

    return counted
