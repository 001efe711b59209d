"""Probes read one quantity of the process each; a `Meter` also knows the highest level."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pytest_memguard.model.measurements import Method
    from pytest_memguard.model.metrics import Metric


class Meter(Protocol):
    """Measures the level of one metric, and the highest level since `restart`."""

    metric: Metric
    """The metric."""
    method: Method
    """The name of its method."""
    hooks_allocators: bool
    """Whether it replaces Python's allocators while it runs."""

    @property
    def lost(self) -> str:
        """Why its numbers are not valid; empty if they are.

        Then a budget in its metric is reported as not measured, with this reason.
        """

    @property
    def running(self) -> bool:
        """Whether it measures between `start` and `stop`."""

    def start(self) -> None:
        """Prepare; nothing is measured before `restart`."""

    def restart(self) -> int:
        """Reset the peak to the level, and return the level."""

    def read(self) -> tuple[int, int]:
        """Return the level and the highest level since `restart`."""

    def missed(self, start: int, high: int) -> int | None:
        """Return by how much the level may have exceeded ``high`` unnoticed.

        Args:
            start: the level at the last `restart`.
            high: the highest level that `read` has returned since.

        Returns:
            0 if every level is seen; ``None`` if nothing bounds what is missed.
        """

    def level(self) -> int:
        """Return the level."""

    def stop(self) -> None:
        """Release what `start` took."""


class Probe:
    """Base class of a meter for another metric.

    A probe that only knows a level needs `metric` and `level`: its peak is the highest level
    that was read, at the start and the end of each phase and stage. A probe that knows a peak
    of its own overrides `restart` and `read` as well.

    Attributes:
        metric: the metric.
        method: the name of its method.
        hooks_allocators: whether it replaces Python's allocators while it runs.
        lost: why its numbers are not valid; empty if they are.
    """

    metric: Metric
    method: Method = "probe"
    hooks_allocators = False
    lost = ""
    _high = 0

    @property
    def running(self) -> bool:
        """Whether it measures between `start` and `stop`."""
        return True

    def start(self) -> None:
        """Prepare for a test that needs the metric."""

    def level(self) -> int:
        """Return the level, in the metric's unit."""
        raise NotImplementedError

    def restart(self) -> int:
        """Measure the peak from here on, and return the level."""
        self._high = level = self.level()
        return level

    def read(self) -> tuple[int, int]:
        """Return the level and the highest level since `restart`."""
        level = self.level()
        self._high = max(self._high, level)
        return level, self._high

    def missed(self, start: int, high: int) -> int | None:
        """Return by how much the level may have exceeded ``high``; ``None``: any amount."""
        return 0

    def stop(self) -> None:
        """Release what `start` took."""
