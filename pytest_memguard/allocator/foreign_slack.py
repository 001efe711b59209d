"""Bounds the slack of allocators that extensions bring along, which have no statistics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from pytest_memguard.clock import Clock
from pytest_memguard.judge.slack_thresholds import RSS_RESOLUTION
from pytest_memguard.probes.ours import Ours
from pytest_memguard.sizes import MIB

NEGLIGIBLE: Final = 1 * MIB
"""Bytes that do not count by themselves: as many may be missing from the count."""
_SHARE_OF_TIME: Final = 20


class Explained(Protocol):
    """What is known of the other allocators; `probes.slack.Slack` for one."""

    @property
    def explained(self) -> int:
        """Bytes that CPython and glibc have from the system, in use or free."""

    @property
    def hooked(self) -> bool:
        """Whether that is not known at the moment."""


class ForeignSlack:
    """Bounds memory that an allocator of an extension may hold free, from what is unexplained.

    Anonymous memory is that of CPython's and glibc's allocators, which say how much they have,
    and what extensions have mapped themselves. How much of that is free only their own
    allocators know, and few of them say so: all of it may be.

    Counting anonymous memory exactly takes tens of milliseconds. So what has come since the
    last time is added to the last answer, until that is more than reports show, the answer
    matters, and twenty times the cost of counting has passed.

    Args:
        anonymous: returns anonymous bytes, or somewhat more, in microseconds.
        exactly: returns anonymous bytes; or somewhat more, where these are no more than so
            many.
        in_use: returns the bytes in use that allocators of extensions report.
    """

    def __init__(
        self,
        anonymous: Callable[[], int],
        exactly: Callable[[int], int],
        in_use: Callable[[], int],
    ) -> None:
        self._anonymous, self._exactly, self._in_use = anonymous, exactly, in_use
        self._known = self._at = self._last = 0
        self._was_counted = False
        self._due = 0.0

    def bound(self, slack: Explained, tolerance: float) -> int:
        """Return the most bytes that may be free.

        Args:
            slack: measured just before.
            tolerance: bytes that do not matter.
        """
        if slack.hooked:
            return self._last
        explained = slack.explained + self._in_use() + Ours.size
        unexplained = self._anonymous() - explained
        bound, is_new = unexplained, True
        if self._was_counted:
            came = max(0, unexplained - self._at)
            bound, is_new = min(bound, self._known + came), came > RSS_RESOLUTION
        if is_new and bound > max(NEGLIGIBLE, tolerance) and Clock.seconds() >= self._due:
            start = Clock.cpu()
            bound = min(bound, self._exactly(explained + NEGLIGIBLE) - explained)
            self._known, self._at, self._was_counted = bound, unexplained, True
            self._due = Clock.seconds() + (Clock.cpu() - start) * _SHARE_OF_TIME
        self._at = min(self._at, unexplained)
        # CPython may have up to an arena less than it says, which it has not touched yet
        self._last = bound + NEGLIGIBLE if bound > NEGLIGIBLE else 0
        return self._last
