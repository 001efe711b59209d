"""Keeps the samples of a watch in memory that does not grow, however long it lasts."""

from __future__ import annotations

from array import array
from math import isnan, nan
from typing import Final

from pytest_memguard.watch_levels import PROCESS_SIGNALS, SIGNALS, Levels
from pytest_memguard.watches import WatchTrace

MOST_ROWS: Final = 2000
"""Rows that are kept; beyond it neighbours are averaged."""


class ThinnedTrace:
    """A row for each sample; when there are too many, one for every two, four, eight of them.

    Args:
        most: rows to keep; an even number.
    """

    def __init__(self, most: int = MOST_ROWS) -> None:
        self._most = most
        self._each = 1
        self._pending: list[tuple[float, ...]] = []
        self._pending_life = 0
        self._lives = array("l")
        # seconds, processor seconds, and the signals
        self._columns = [array("d") for _ in range(2 + len(SIGNALS))]

    def add(self, seconds: float, life: int, cpu: float, levels: Levels) -> None:
        """Add a sample.

        Args:
            seconds: when, since the start.
            life: which process it is about, by its place among all.
            cpu: processor seconds that it has used so far.
            levels: the reading.
        """
        if self._pending and life != self._pending_life:
            self._flush()
        self._pending_life = life
        values = (nan if level is None else float(level) for level in levels)
        self._pending.append((seconds, cpu, *values))
        if len(self._pending) >= self._each:
            self._flush()

    def trace(self) -> WatchTrace:
        """Return the rows, the latest samples included."""
        rows = [*self._lives], [[*column] for column in self._columns]
        lives, columns = rows
        if self._pending:
            lives.append(self._pending_life)
            for column, value in zip(columns, _mean(self._pending), strict=True):
                column.append(value)
        return WatchTrace(
            seconds=tuple(round(value, 3) for value in columns[0]),
            lives=tuple(lives),
            cpu=tuple(round(value, 3) for value in columns[1]),
            levels={
                signal: tuple(None if isnan(value) else round(value, 2) for value in column)
                for signal, column in zip(SIGNALS, columns[2:], strict=True)
                if signal in PROCESS_SIGNALS or not all(map(isnan, column))
            },
        )

    def _flush(self) -> None:
        self._lives.append(self._pending_life)
        for column, value in zip(self._columns, _mean(self._pending), strict=True):
            column.append(value)
        self._pending.clear()
        if len(self._lives) >= self._most:
            self._halve()

    def _halve(self) -> None:
        """Average every two neighbours of one life."""
        lives, columns = self._lives, self._columns
        self._lives = array("l")
        self._columns = [array("d") for _ in columns]
        at = 0
        while at < len(lives):
            end = at + 2 if at + 1 < len(lives) and lives[at + 1] == lives[at] else at + 1
            rows = list(zip(*(column[at:end] for column in columns), strict=True))
            self._lives.append(lives[at])
            for column, value in zip(self._columns, _mean(rows), strict=True):
                column.append(value)
            at = end
        self._each *= 2


def _mean(rows: list[tuple[float, ...]]) -> list[float]:
    """Return the mean of each column, of what is known in it."""
    found = []
    for column in zip(*rows, strict=True):
        known = [value for value in column if not isnan(value)]
        found.append(sum(known) / len(known) if known else nan)
    return found
