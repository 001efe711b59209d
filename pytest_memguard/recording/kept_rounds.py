"""Keeps the rounds of a leak check in memory that is allocated before its first call."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Final

from pytest_memguard.model.leaks import Round, Signal

_MOST: Final = 200


class KeptRounds:
    """The rounds so far; keeping another one is no growth of memory.

    Args:
        signals: the signals that are read.

    Attributes:
        signals: the same.
    """

    def __init__(self, signals: Sequence[Signal]) -> None:
        self.signals = tuple(signals)
        self._width = len(self.signals) + 1
        self._values = array("q", bytes(8 * _MOST * self._width))
        self._number = 0

    def __len__(self) -> int:
        """Return how many there are."""
        return self._number

    @property
    def is_full(self) -> bool:
        """Whether no more can be kept."""
        return self._number >= _MOST

    def add(self, calls: int, before: array[int], after: array[int]) -> None:
        """Keep by how much each signal changed in a round.

        Args:
            calls: number of calls.
            before: the readings before them.
            after: the readings after them.
        """
        at = self._number * self._width
        self._values[at] = calls
        for index in range(self._width - 1):
            self._values[at + 1 + index] = after[index] - before[index]
        self._number += 1

    def rose(self, latest: int) -> bool:
        """Return whether a signal rose in one of the latest rounds.

        Args:
            latest: how many of them.
        """
        width, end = self._width, self._number * self._width
        starts = range(max(0, end - latest * width), end, width)
        return any(max(self._values[at + 1 : at + width]) > 0 for at in starts)

    def rose_in(self, index: int) -> bool:
        """Return whether a signal rose in one of the rounds.

        Args:
            index: of the signal.
        """
        width = self._width
        column = self._values[index + 1 : self._number * width : width]
        return bool(column) and max(column) > 0

    def forget(self, *, but: int = 0) -> None:
        """Forget the latest rounds.

        Args:
            but: how many of the first to keep.
        """
        self._number = but

    def at(self, number: int) -> Round:
        """Return a round.

        Args:
            number: from 0.
        """
        at = number * self._width
        moved = self._values[at + 1 : at + self._width]
        return Round(
            calls=self._values[at], growth=tuple(zip(self.signals, moved, strict=True))
        )

    def series(self) -> tuple[Round, ...]:
        """Return all of them."""
        return tuple(self.at(number) for number in range(self._number))

    def rate_at(self, number: int, signal: Signal) -> float:
        """Return the growth per call in one round; 0 if there was no such round.

        Args:
            number: from 0; negative if there was none.
            signal: what grew.
        """
        if number < 0:
            return 0.0
        a_round = self.at(number)
        return (a_round.of(signal) or 0) / a_round.calls
