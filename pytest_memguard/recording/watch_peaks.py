"""Keeps the highest readings of a watch, or of one of its stages."""

from __future__ import annotations

from pytest_memguard.watch_levels import SIGNALS, Levels, WatchSignal, levels_of


class Peaks:
    """The highest reading of each signal.

    Args:
        first: the first reading.
    """

    def __init__(self, first: Levels | None = None) -> None:
        self._most: dict[WatchSignal, int | None] = dict.fromkeys(SIGNALS)
        if first is not None:
            self.note(first)

    def note(self, levels: Levels) -> None:
        """Take a reading into account."""
        for signal, level in zip(SIGNALS, levels, strict=True):
            most = self._most[signal]
            if level is not None and (most is None or level > most):
                self._most[signal] = level

    def note_rss(self, peak: int) -> None:
        """Take a peak of resident memory into account, which no sample has seen."""
        self._most["rss"] = max(peak, self._most["rss"] or 0)

    @property
    def levels(self) -> Levels:
        """The highest readings."""
        return levels_of(self._most)
