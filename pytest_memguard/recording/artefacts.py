"""Tells whether growth is there only because of how it is looked for."""

from __future__ import annotations

import gc
from collections.abc import Callable
from math import inf
from typing import Final

from pytest_memguard.clock import Clock
from pytest_memguard.leaks import Verdict
from pytest_memguard.recording.looking import Looking

AGAIN: Final = 8
"""Calls after which it is seen whether something makes a difference."""
_WAS_GARBAGE: Final = 0.1
"""Share of the growth that goes with frozen garbage from which on that makes a difference."""
_FILLED: Final = 160
"""Calls that fill those caches: those of typing have 128 entries."""
_CALLS_LEFT: Final = 4
"""The part of the calls that are left that may go into that."""
_SECONDS: Final = 1.0
"""Of these calls."""
_GROWS_ON: Final = 0.25
"""Share of the growth that is there with the caches left alone, from which on it is real."""


class Artefacts:
    """Looks for growth that the check itself makes, and reads otherwise from then on.

    Args:
        call: makes one call.
        calls: makes so many, with something to do after every few of them.
        looks: reads the signals.
    """

    def __init__(
        self,
        call: Callable[[], None],
        calls: Callable[[int, Callable[[], None]], None],
        looks: Looking,
    ) -> None:
        self._call = call
        self._calls = calls
        self._looks = looks
        self._before, self._after = looks.row(), looks.row()
        self._is_asked = False

    def account_for(self, so_far: Verdict, left: int) -> bool:
        """Whether what grew is due to the check; asked once.

        Args:
            so_far: how it grows.
            left: calls that may be made.

        Returns:
            Whether it is read otherwise from now on, so that nothing before counts.
        """
        if self._is_asked:
            return False
        self._is_asked = True
        return self.frozen_takes_in(so_far) or self._is_of_empty_caches(so_far, left)

    def frozen_takes_in(self, so_far: Verdict, *, explained: bool = False) -> bool:
        """Whether garbage in the frozen heap takes in a good part of what grows.

        If so, the whole heap is collected before each reading from now on.

        Args:
            so_far: how it grows.
            explained: whether what explains leaks has frozen the heap.
        """
        looks = self._looks
        if self._freezes():
            return False
        was_garbage = looks.collect_frozen(explained=explained)
        if not was_garbage and not explained:  # what explains leaks has collected it already
            return False
        # the first time it was also what earlier calls left
        self._calls(AGAIN, self._settle)
        looks.look(self._before, settle=True)
        if not looks.collect_frozen():
            return False
        looks.look(self._after, settle=True)
        rates = {rate.signal: rate.per_call for rate in so_far.rates}
        for index, signal in enumerate(looks.signals):
            went = self._before[index] - self._after[index]
            if went >= _WAS_GARBAGE * AGAIN * rates.get(signal, inf):
                looks.collect_frozen(always=True)
                return True
        return False

    def _settle(self) -> None:
        self._looks.settle(types=False)

    def _freezes(self) -> bool:
        """Whether a call freezes the heap itself: what it hides that way stays for ever."""
        new: list[object] = []
        self._call()
        # their number may fall: some of those that were frozen before are freed meanwhile
        return not any(held is new for held in gc.get_objects())

    def _is_of_empty_caches(self, so_far: Verdict, left: int) -> bool:
        """Whether nothing grows where the standard library's caches are left alone.

        What a call finds there it need not make, and one that is made once can be held for
        ever: a type hint that was evaluated. If so, no cache is emptied from now on. First
        they have to be full.
        """
        looks = self._looks
        rates = {rate.signal: rate.per_call for rate in so_far.rates}
        if "blocks" not in rates:
            return False  # what such caches keep are objects
        at = list(looks.signals).index("blocks")
        self._call()
        looks.look(self._before, settle=False, types=True)
        looks.look(self._after, settle=True)
        if self._after[at] >= self._before[at]:
            return False  # the call has put nothing into them
        self._call()
        looks.look(self._after, settle=False, types=True)
        end = Clock.seconds() + _SECONDS
        for _ in range(min(_FILLED, left // _CALLS_LEFT) // AGAIN):
            self._before[:] = self._after
            self._calls(AGAIN, looks.collect)
            looks.look(self._after, settle=False, types=True)
            if self._after[at] - self._before[at] < _GROWS_ON * AGAIN * rates["blocks"]:
                looks.keep_caches()
                return True
            if Clock.seconds() > end:
                break
        return False
