"""Makes calls in a limited time under trackers that may slow them down many times."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final, TypeVar

from pytest_memguard.clock import Clock
from pytest_memguard.sizes import format_number

Known = TypeVar("Known")
LEAST: Final = 6
"""The least number of calls for finding the cause of a leak."""


FEWEST: Final = 3
"""So few calls show the lines of a leak, if there is no time for more."""


class CallFailed(Exception):  # noqa: N818  a state of the repetition, not an error of ours
    """A call did not do what the first call did; the text says what happened."""


class OutOfTime(CallFailed):
    """There is no time for more calls."""


class TimedCall:
    """Makes calls until they have taken as long as they may.

    Args:
        call: makes one call.
        seconds: the most that all calls together may take.

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
        """The number of calls and what they have taken, in words."""
        return f"{self._made} calls under the instruments took {format_number(self._spent)} s"

    def __call__(self) -> None:
        """Make one call.

        Raises:
            OutOfTime: if the time is over.
            CallFailed: if the call failed.
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
    """Return the result of a step, or what is known already if there is no time for its calls.

    Args:
        step: makes calls.
        known: what is known already.
    """
    try:
        return step()
    except OutOfTime:
        return known


def make_calls(call: Callable[[], None], calls: int, seconds: float, least: int = LEAST) -> int:
    """Make a number of calls, or fewer if they take too long; return how many were made.

    Args:
        call: makes one call.
        calls: the number of calls.
        seconds: after these seconds no more calls are made than are necessary.
        least: so many calls are necessary.

    Raises:
        CallFailed: if a call failed, or if there was no time for even a few.
    """
    end = Clock.seconds() + seconds
    made = 0
    while made < calls and (made < least or Clock.seconds() < end):
        try:
            call()
        except OutOfTime:
            if made < FEWEST:
                raise
            break
        made += 1
    return made
