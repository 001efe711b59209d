"""Readings without the share of holders whose growth is no leak: caches that fill, plugins."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from pytest_memguard.attribution import raw
from pytest_memguard.attribution.values import length_of
from pytest_memguard.leaks import BYTE_SIGNALS, Signal
from pytest_memguard.recording.looking import Looking

_WHOLE: Final = 0.15
"""How far from a whole number of blocks an item may be measured, and have so many."""


class Share:
    """What one holder takes of each signal with every item that it gains.

    Args:
        container: the holder: a container or a `values.Value`; None if there is none.
        gained: items that it gained in so many calls; 0 if it is not known to gain any.
        calls: how many.
        per_call: what it took of each signal with every call.
        made: tells how many calls there were so far.
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
        """How much of a signal it has taken since the start."""
        taken = self._per_item.get(signal, 0.0) * (self._items() - self._start)
        if signal in BYTE_SIGNALS:
            taken += self._own_size() - self._size
        return round(taken)

    def _own_size(self) -> int:
        """Bytes of its own table, which grows by leaps."""
        parts = raw.tables(self._container)
        return sum(map(raw.own_size, parts))


def _evened(signal: Signal, per_item: float) -> float:
    whole = round(per_item)
    is_whole = signal not in BYTE_SIGNALS and abs(per_item - whole) <= _WHOLE
    return float(whole) if is_whole else per_item


class AdjustedLooks:
    """Reads what leaks show in, less what some holders take.

    Args:
        looks: reads everything.
        shares: the holders and what they take.
    """

    def __init__(self, looks: Looking, shares: Sequence[Share]) -> None:
        self._looks = looks
        self._shares = shares
        self.signals = tuple(looks.signals)

    def row(self) -> array[int]:
        """Room for one reading of every signal."""
        return self._looks.row()

    def look(
        self,
        row: array[int],
        *,
        settle: bool,
        types: bool = False,
        before: array[int] | None = None,
    ) -> None:
        """Read every signal into a row, and take the shares off."""
        self._looks.look(row, settle=settle, types=types, before=before)
        for index, signal in enumerate(self.signals):
            for share in self._shares:
                row[index] -= share.taken(signal)

    def collect(self) -> None:
        """Collect garbage."""
        self._looks.collect()

    def collect_frozen(self, *, always: bool = False, explained: bool = False) -> bool:
        """Collect garbage of the whole heap."""
        return self._looks.collect_frozen(always=always, explained=explained)

    def settle(self, *, types: bool = True) -> None:
        """Collect garbage once the caches that fill with use are empty."""
        self._looks.settle(types=types)

    def keep_caches(self) -> None:
        """Empty the standard library's caches no more."""
        self._looks.keep_caches()
