"""Readings without the share of holders whose growth is no leak: caches that fill, plugins."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from pytest_memguard.attribution import raw
from pytest_memguard.attribution.values import length_of
from pytest_memguard.model.leaks import BYTE_SIGNALS, Signal
from pytest_memguard.recording.signal_reading import SignalReading

_WHOLE: Final = 0.15
"""A measured number of blocks per item within this distance of a whole number counts as
that."""


class Share:
    """What one holder takes of each signal for each item that it gains.

    Args:
        container: the holder, a container or a `values.Value`; ``None`` if there is none.
        gained: the items that it gained in some calls; 0 if it is not known to gain any.
        calls: the number of these calls.
        per_call: what it took of each signal per call.
        made: returns the number of calls so far.
    """

    def __init__(
        self,
        container: object,
        gained: int,
        calls: int,
        per_call: Mapping[Signal, float],
        made: Callable[[], int],
    ) -> None:
        self._container = container
        self._items = partial(length_of, container) if gained > 0 else made
        items = gained if gained > 0 else calls
        self._per_item = {
            signal: _evened(signal, taken * calls / items) for signal, taken in per_call.items()
        }
        self._start = self._items()
        self._size = self._own_size()

    def taken(self, signal: Signal) -> int:
        """Return how much of a signal the holder has taken since the start."""
        taken = self._per_item.get(signal, 0.0) * (self._items() - self._start)
        if signal in BYTE_SIGNALS:
            taken += self._own_size() - self._size
        return round(taken)

    def _own_size(self) -> int:
        """Return the bytes of its own tables, which grow in steps."""
        parts = raw.tables(self._container)
        return sum(map(raw.own_size, parts))


def _evened(signal: Signal, per_item: float) -> float:
    whole = round(per_item)
    is_whole = signal not in BYTE_SIGNALS and abs(per_item - whole) <= _WHOLE
    return float(whole) if is_whole else per_item


class AdjustedSignals:
    """Reads all signals, without the shares of some holders.

    Args:
        reader: reads the signals.
        shares: the holders, and what they take.
    """

    def __init__(self, reader: SignalReading, shares: Sequence[Share]) -> None:
        self._reader = reader
        self._shares = shares
        self.signals = tuple(reader.signals)

    def row(self) -> array[int]:
        """Return an array for one reading of every signal."""
        return self._reader.row()

    def read(
        self,
        row: array[int],
        *,
        settle: bool,
        types: bool = False,
        before: array[int] | None = None,
    ) -> None:
        """Read every signal into a row, and subtract the shares."""
        self._reader.read(row, settle=settle, types=types, before=before)
        for index, signal in enumerate(self.signals):
            for share in self._shares:
                row[index] -= share.taken(signal)

    def small_blocks(self) -> bytes:
        """Return nothing: the shares of pymalloc's blocks are not known."""
        return b""

    def collect(self) -> None:
        """Collect garbage."""
        self._reader.collect()

    def collect_frozen(self, *, always: bool = False, explained: bool = False) -> bool:
        """Collect garbage of the whole heap, and return whether there was any."""
        return self._reader.collect_frozen(always=always, explained=explained)

    def settle(self, *, types: bool = True) -> None:
        """Empty caches that fill with use, and collect garbage."""
        self._reader.settle(types=types)

    def keep_caches(self) -> None:
        """Stop emptying the standard library's caches."""
        self._reader.keep_caches()
