"""Finds out whether growth is only an artefact of the leak check itself."""

from __future__ import annotations

import gc
from collections.abc import Callable
from math import inf
from typing import Final

from pytest_memguard.clock import Clock
from pytest_memguard.model.leaks import Verdict
from pytest_memguard.recording.signal_reading import SignalReading

AGAIN: Final = 8
"""Number of calls after which it is checked whether something makes a difference."""
_WAS_GARBAGE: Final = 0.1
"""If collecting the frozen heap removes this share of the growth, it makes a difference."""
_FILLED: Final = 160
"""Number of calls that fill the caches of the standard library: those of typing have 128
entries."""
_CALLS_LEFT: Final = 4
"""At most one in so many of the remaining calls is made for that."""
_SECONDS: Final = 1.0
"""The most seconds that these calls may take."""
_GROWS_ON: Final = 0.25
"""If this share of the growth remains although no cache is emptied, the growth is real."""


class Artefacts:
    """Finds growth that the check itself causes, and changes how signals are read.

    Args:
        call: makes one call.
        calls: makes a number of calls, and calls a function after every few of them.
        reader: reads the signals.
    """

    def __init__(
        self,
        call: Callable[[], None],
        calls: Callable[[int, Callable[[], None]], None],
        reader: SignalReading,
    ) -> None:
        self._call = call
        self._calls = calls
        self._reader = reader
        self._before, self._after = reader.row(), reader.row()
        self._is_asked = False

    def account_for(self, so_far: Verdict, left: int) -> bool:
        """Return whether the check causes the growth; this is examined once.

        Args:
            so_far: how the signals grow.
            left: the number of calls that may be made.

        Returns:
            Whether signals are read differently from now on, so that earlier readings do not
            count.
        """
        if self._is_asked:
            return False
        self._is_asked = True
        return self.frozen_takes_in(so_far) or self._is_of_empty_caches(so_far, left)

    def frozen_takes_in(self, so_far: Verdict, *, explained: bool = False) -> bool:
        """Return whether garbage in the frozen heap holds a good part of what grows.

        If it does, the whole heap is collected before each reading from now on.

        Args:
            so_far: how the signals grow.
            explained: whether the search for the cause has frozen the heap.
        """
        reader = self._reader
        if self._freezes():
            return False
        was_garbage = reader.collect_frozen(explained=explained)
        if not was_garbage and not explained:  # what explains leaks has collected it already
            return False
        # the first time it was also what earlier calls left
        self._calls(AGAIN, self._settle)
        reader.read(self._before, settle=True)
        if not reader.collect_frozen():
            return False
        reader.read(self._after, settle=True)
        rates = {rate.signal: rate.per_call for rate in so_far.rates}
        for index, signal in enumerate(reader.signals):
            went = self._before[index] - self._after[index]
            if went >= _WAS_GARBAGE * AGAIN * rates.get(signal, inf):
                reader.collect_frozen(always=True)
                return True
        return False

    def _settle(self) -> None:
        self._reader.settle(types=False)

    def _freezes(self) -> bool:
        """Return whether a call freezes the heap itself: then it keeps what it freezes."""
        new: list[object] = []
        self._call()
        # their number may fall: some of those that were frozen before are freed meanwhile
        return not any(held is new for held in gc.get_objects())

    def _is_of_empty_caches(self, so_far: Verdict, left: int) -> bool:
        """Return whether nothing grows if the standard library's caches are not emptied.

        A call that finds an object in a cache does not make it again, and the first object may
        be kept for ever: an evaluated type hint, for example. If so, no cache is emptied from
        now on. The caches have to be full first.
        """
        reader = self._reader
        rates = {rate.signal: rate.per_call for rate in so_far.rates}
        if "blocks" not in rates:
            return False  # what such caches keep are objects
        at = list(reader.signals).index("blocks")
        self._call()
        reader.read(self._before, settle=False, types=True)
        reader.read(self._after, settle=True)
        if self._after[at] >= self._before[at]:
            return False  # the call has put nothing into them
        self._call()
        reader.read(self._after, settle=False, types=True)
        end = Clock.seconds() + _SECONDS
        for _ in range(min(_FILLED, left // _CALLS_LEFT) // AGAIN):
            self._before[:] = self._after
            self._calls(AGAIN, reader.collect)
            reader.read(self._after, settle=False, types=True)
            if self._after[at] - self._before[at] < _GROWS_ON * AGAIN * rates["blocks"]:
                reader.keep_caches()
                return True
            if Clock.seconds() > end:
                break
        return False
