"""Keeps the time between samples, without drift, however long each of them takes."""

from __future__ import annotations

from collections.abc import Callable


class Pace:
    """Says when the next sample is due.

    Args:
        interval: seconds between two samples.
        now: the clock.
    """

    def __init__(self, interval: float, now: Callable[[], float]) -> None:
        self.interval = interval
        self._now = now
        self._due = now() + interval

    def wait_seconds(self) -> float:
        """Return seconds until the next sample is due."""
        return max(0.0, self._due - self._now())

    def step(self) -> None:
        """Note that the sample that is due is taken; those that were missed are left out."""
        late = max(0.0, self._now() - self._due)
        self._due += self.interval * (1 + late // self.interval)
