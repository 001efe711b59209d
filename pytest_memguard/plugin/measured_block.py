"""The numbers of a block that a test measures itself, for its assertions."""

from __future__ import annotations

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.model.metrics import METRICS
from pytest_memguard.units import Count, Size


class Measure:
    """What `MemGuard.measure` found out; its numbers are there once the block has ended."""

    def __init__(self, metric: str) -> None:
        self.metric = metric
        self._numbers: tuple[Size, Size | None, Size, float] | None = None

    def fill(self, peak: int, bound: int | None, growth: int, seconds: float) -> None:
        """Take the numbers, in the metric's unit; ``bound`` is ``None`` if there is none."""
        number = Size if METRICS[self.metric].is_memory else Count
        upper = None if bound is None else number(max(0, bound))
        self._numbers = (number(max(0, peak)), upper, number(growth), seconds)

    def _get(self) -> tuple[Size, Size | None, Size, float]:
        if self._numbers is None:
            msg = "the numbers of measure() are there once its block has ended"
            raise RuntimeError(msg)
        return self._numbers

    @property
    def peak(self) -> Size:
        """Bytes by which the peak was above the level at the start; compares with "50 MB"."""
        return self._get()[0]

    @property
    def upper_bound(self) -> Size:
        """Bytes the peak cannot exceed; more than ``peak`` where slack was free before.

        Where memory is sampled it is as much more as may have been missed.

        Raises:
            Unmeasurable: if nothing bounds what sampling may have missed.
        """
        bound = self._get()[1]
        if bound is None:
            msg = "memory is sampled here, and nothing bounds a peak between two samples"
            raise Unmeasurable(msg)
        return bound

    @property
    def growth(self) -> Size:
        """Bytes the level rose from start to end."""
        return self._get()[2]

    @property
    def seconds(self) -> float:
        """How long the block took."""
        return self._get()[3]

    def __repr__(self) -> str:
        if self._numbers is None:
            return f"<measuring {self.metric}>"
        peak, _, growth, seconds = self._numbers
        return f"<{METRICS[self.metric].noun} {peak}, growth {growth}, {seconds:.3f} s>"
