"""Probes ask the process one question each; a `Meter` is one that keeps a peak."""

from __future__ import annotations

from typing import Protocol

from pytest_memguard.metrics import Metric
from pytest_memguard.model import Method


class Meter(Protocol):
    """A level that changes, and a high-water mark that can be put back to it."""

    metric: Metric
    """What it counts."""
    method: Method
    """How it does that."""
    hooks_allocators: bool
    """Whether it replaces Python's allocators while it runs."""

    @property
    def lost(self) -> str:
        """Why its numbers mean nothing; empty where they mean something.

        A budget in its metric is reported as not measured then, with this reason.
        """

    @property
    def running(self) -> bool:
        """Whether it counts between `start` and `stop`."""

    def start(self) -> None:
        """Get ready; nothing is counted before `restart`."""

    def restart(self) -> int:
        """Put the mark back to the level, and return the level."""

    def read(self) -> tuple[int, int]:
        """Return the level and the highest level since `restart`."""

    def missed(self, start: int, high: int) -> int | None:
        """By how much the level may have been above ``high`` unnoticed.

        Args:
            start: the level at the last `restart`.
            high: the highest level that `read` has told since.

        Returns:
            0 where no level is missed; ``None`` where nothing bounds it.
        """

    def level(self) -> int:
        """Return the level."""

    def stop(self) -> None:
        """Let go of whatever `start` took."""


class Probe:
    """A meter for one more metric, to derive from.

    A probe that only knows a level needs no more than `metric` and `level`: its peak is the
    highest level that was read, at the start and the end of each phase and stage. One that
    knows a peak of its own replaces `restart` and `read` as well.

    Attributes:
        metric: what it counts.
        method: how it does that.
        hooks_allocators: whether it replaces Python's allocators while it runs.
        lost: why its numbers mean nothing; empty where they mean something.
    """

    metric: Metric
    method: Method = "probe"
    hooks_allocators = False
    lost = ""
    _high = 0

    @property
    def running(self) -> bool:
        """Whether it counts between `start` and `stop`."""
        return True

    def start(self) -> None:
        """Get ready for a test that asks for the metric."""

    def level(self) -> int:
        """Return the level, in the metric's unit."""
        raise NotImplementedError

    def restart(self) -> int:
        """Begin to count the peak from here, and return the level."""
        self._high = level = self.level()
        return level

    def read(self) -> tuple[int, int]:
        """Return the level and the highest level since `restart`."""
        level = self.level()
        self._high = max(self._high, level)
        return level, self._high

    def missed(self, start: int, high: int) -> int | None:  # noqa: ARG002  a Meter's
        """By how much the level may have been above ``high`` unnoticed; ``None``: any."""
        return 0

    def stop(self) -> None:
        """Let go of whatever `start` took."""
