"""Probes ask the process one question each; a `Meter` is one that keeps a peak."""

from __future__ import annotations

from typing import Protocol

from pytest_memguard.model import Method, MetricName


class Meter(Protocol):
    """A level that changes, and a high-water mark that can be put back to it."""

    metric: MetricName
    """What it counts."""
    method: Method
    """How it does that."""

    @property
    def lost(self) -> str:
        """Why its numbers mean nothing, if something put an end to the measuring."""

    @property
    def running(self) -> bool:
        """Whether it counts between `start` and `stop`."""

    def start(self) -> None:
        """Get ready; nothing is counted before `restart`."""

    def restart(self) -> int:
        """Put the mark back to the level, and return the level in bytes."""

    def read(self) -> tuple[int, int]:
        """Return the level and the highest level since `restart`, in bytes."""

    def missed(self, start: int, high: int) -> int | None:
        """Bytes by which the level may have been above ``high`` unnoticed.

        Args:
            start: the level at the last `restart`.
            high: the highest level that `read` has told since.

        Returns:
            0 where no level is missed; ``None`` where nothing bounds it.
        """

    def level(self) -> int:
        """Return the level in bytes."""

    def stop(self) -> None:
        """Let go of whatever `start` took."""
