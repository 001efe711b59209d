"""Limits how long memray runs in tests that did not ask for it, and knows which these were."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pytest_memguard.measure.time_share import TimeShare
from pytest_memguard.values import dataclass

ALWAYS_SECONDS: Final = 0.5
"""Seconds that memray may run in any process, however short its run is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedTest:
    """A test that ran under memray only because slack would have hidden too much."""

    nodeid: str
    """The test."""
    seconds: float
    """How long memray ran, and how long its file took to read."""
    slack: int
    """Bytes that earlier tests had left free."""
    avoided_by: int
    """The smallest budget, in bytes, with which so much slack needs no tracker."""


class TrackerShare:
    """Decides whether memray may run in a test that did not ask for it.

    Args:
        share: of the run's time that memray may take; ``None`` for none of it.
        is_spared: whether a fresh process measures what slack would have hidden, so that memray
            is not needed where that can.

    Attributes:
        tests: those in which it ran.
        refused: the tests that had to go without.
    """

    def __init__(self, share: float | None = 1.0, is_spared: Callable[[], bool] = bool) -> None:
        self._time = TimeShare(share, ALWAYS_SECONDS)
        self._is_spared = is_spared
        self.tests: list[TrackedTest] = []
        self.refused: set[str] = set()

    def allows(self, nodeid: str, *, can_be_measured_again: bool) -> bool:
        """Whether memray may run in the phase that is about to begin.

        Args:
            nodeid: the test.
            can_be_measured_again: whether a fresh process could measure all that matters in it.
        """
        if can_be_measured_again and self._is_spared():
            return False
        if self._time.allows():
            return True
        self.refused.add(nodeid)
        return False

    def note(self, test: TrackedTest) -> None:
        """Note a test in which it ran."""
        self.tests.append(test)
        self._time.note(test.seconds)
