"""Decides whether slack may stay unfilled in a test, since a fresh process answers in doubt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_MOST_SHARE: Final = 0.8
"""Share of a budget up to which slack stays: a test that uses it again is within its budget."""
_FILLED_AFTER_DOUBT: Final = 100
"""Tests before which slack is filled, after one whose peak was in doubt: its memory did not fit
where others had been, and that of its neighbours may not either."""


class Screen:
    """Lets slack stay where it is as long as that leaves no test in doubt.

    A test whose peak and the slack before it are together below its budget is within it,
    whatever it has used again. Filling slack would make its peak exact, but takes time, and
    lets the process grow.

    Args:
        is_enough: whether a fresh process can answer where there is doubt, and nothing reads
            peaks beside the budgets.

    Attributes:
        is_open: whether slack might stay when that was last asked, and nothing was in doubt
            since.
    """

    def __init__(self, is_enough: Callable[[], bool] = bool) -> None:
        self._is_enough = is_enough
        self._left = 0
        self.is_open = False

    def most(self, limit: int) -> int:
        """The bytes of slack that may stay before a test.

        Args:
            limit: the test's budget, in bytes.
        """
        self.is_open = False
        if not self._is_enough():
            return 0
        if self._left:
            self._left -= 1
            return 0
        self.is_open = True
        return most_screened(limit)

    def note_doubt(self) -> None:
        """Note that slack has left a test's peak in doubt."""
        self._left, self.is_open = _FILLED_AFTER_DOUBT, False


def most_screened(limit: int) -> int:
    """Return the bytes of slack that may stay before a test with this budget, in bytes."""
    return int(_MOST_SHARE * limit)
