"""Limits what is measured beyond a plain run to a share of the run's time."""

from __future__ import annotations

from pytest_memguard.clock import Clock


class TimeShare:
    """Decides whether there is time for another measurement.

    A measurement is not interrupted, so what one takes is known afterwards: the next one is
    expected to take as long as the longest so far.

    Args:
        share: of the time since now; ``None`` for none of it.
        least: seconds that there are in any run, however short it is, if there is a share.
        apart: whether the time of these measurements is no part of the run's.
    """

    def __init__(self, share: float | None, least: float, *, apart: bool = False) -> None:
        self._apart = apart
        self._share = share or 0.0
        self._least = least
        self._began = Clock.seconds()
        self._spent = self._longest = 0.0

    def allows(self) -> bool:
        """Whether another measurement fits into the share."""
        if not self._share:
            return False
        elapsed = Clock.seconds() - self._began - (self._spent if self._apart else 0.0)
        allowed = max(self._share * elapsed, self._least)
        return self._spent + self._longest <= allowed

    def note(self, seconds: float) -> None:
        """Note what a measurement has taken."""
        self._spent += seconds
        self._longest = max(self._longest, seconds)
