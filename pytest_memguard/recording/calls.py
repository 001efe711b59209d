"""Calls under an instrument that may make them many times as slow, in a limited time."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final, TypeVar

from pytest_memguard.clock import Clock
from pytest_memguard.recording.repeat import CallFailed

Known = TypeVar("Known")
LEAST: Final = 6
"""Calls that any explanation of a leak takes."""


class OutOfTime(CallFailed):
    """There is no time for more calls that explain a leak."""


class TimedCall:
    """Makes calls until they have taken as long as they may.

    Args:
        call: makes one call.
        seconds: how long all together may take.

    Attributes:
        lasts: whether any such call is being made.
    """

    lasts: ClassVar[bool] = False

    def __init__(self, call: Callable[[], None], seconds: float) -> None:
        self._call = call
        self._seconds = seconds
        self._spent = 0.0
        self._made = 0

    @property
    def is_over(self) -> bool:
        """Whether no more calls may be made."""
        return self._spent >= self._seconds

    @property
    def spent(self) -> str:
        """What the calls have taken, in words."""
        return f"{self._made} calls under the instruments took {self._spent:.3g} s"

    def __call__(self) -> None:
        """Make one call.

        Raises:
            OutOfTime: if the time is over.
            CallFailed: if the call went wrong.
        """
        if self.is_over:
            raise OutOfTime(self.spent)
        self._made += 1
        start = Clock.seconds()
        TimedCall.lasts = True
        try:
            self._call()
        finally:
            TimedCall.lasts = False
            self._spent += Clock.seconds() - start


def in_time(step: Callable[[], Known], known: Known) -> Known:
    """What a step finds out, or what is known already if there is no time for its calls.

    Args:
        step: makes calls.
        known: what is known.
    """
    try:
        return step()
    except OutOfTime:
        return known


def make_calls(call: Callable[[], None], calls: int, seconds: float) -> int:
    """Make so many calls, or fewer if they take too long; how many were made.

    Args:
        call: makes one call.
        calls: how many are wanted.
        seconds: after which no more are made than an explanation takes.

    Raises:
        CallFailed: if a call went wrong.
    """
    end = Clock.seconds() + seconds
    made = 0
    while made < calls and (made < LEAST or Clock.seconds() < end):
        call()
        made += 1
    return made
