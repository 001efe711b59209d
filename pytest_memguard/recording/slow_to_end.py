"""Threads, child processes and tasks that end by themselves a while after the call."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable
from operator import sub
from typing import Final

from pytest_memguard.leaks import BYTE_SIGNALS, Signal
from pytest_memguard.recording.looking import Looking
from pytest_memguard.values import dataclass

_SLOW: Final[frozenset[Signal]] = frozenset(
    {"Python threads", "native threads", "child processes", "asyncio tasks"}
)
"""What may end by itself a while after the call."""
_LONGEST: Final = 5.0
"""Seconds that it is waited for once, before it is called a leak."""
_MORE_CALLS: Final = 10
"""Calls that show whether anything else stays."""
_SHARE_OF_TIME: Final = 0.25
"""Share of the time of a check that waiting may take."""
_FIRST_SHARE: Final = 0.5
_LATER_SHARE: Final = 0.22
"""Share of that if none of it ends; and once that was in vain for several callables."""
_TRIES: Final = 50
_SEVERAL: Final = 3
"""How many of them have to be there."""
_HARDLY_ANY: Final = 0.1
"""Share of what was there that may be left for all of it to have ended."""


class Patience:
    """How long to wait in a run.

    Attributes:
        in_vain: for how many callables threads were waited for that did not end.
    """

    def __init__(self) -> None:
        self.in_vain = 0

    @property
    def share(self) -> float:
        """Share of the longest wait after which it is given up if nothing has ended."""
        return _FIRST_SHARE if self.in_vain < _SEVERAL else _LATER_SHARE


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What has ended."""

    names: str
    """Of its signals."""
    seconds: float
    """How long it took."""
    stays: tuple[Signal, ...]
    """What grows beside it, and stays."""


class SlowToEnd:
    """Waits for what calls have started and that ends by itself.

    A thread that looks once a second whether it is to end is there for a second more. Many
    calls in a second leave many of them, and each later second no more.

    Args:
        call: makes one call.
        looks: reads what leaks show in.
        start: a reading from before the first call.
        seconds: of the whole check.
        patience: that of the run.
    """

    def __init__(
        self,
        call: Callable[[], None],
        looks: Looking,
        start: array[int],
        seconds: float,
        patience: Patience,
    ) -> None:
        self._call = call
        self._look = looks.look
        self._signals = tuple(looks.signals)
        self._start = start
        self._now, self._before = looks.row(), looks.row()
        self._patience = patience
        # a timeout of the test's may leave little time, which finding the cause needs as well
        self._pause = min(_LONGEST, _SHARE_OF_TIME * seconds) / _TRIES
        self._has_waited = False

    def wait(self) -> Ended | None:
        """Wait once, if there is anything to wait for; what has ended, if all of it has."""
        if self._has_waited:
            return None
        self._look(self._now, settle=False)
        there = dict(zip(self._signals, map(sub, self._now, self._start), strict=True))
        slow = {signal for signal in _SLOW if there.get(signal, 0) >= _SEVERAL}
        if not slow:
            return None
        self._has_waited = True
        tries = self._wait_for(slow, self._start, self._patience.share)
        if not tries:
            self._patience.in_vain += 1
            return None
        return Ended(
            names=" and ".join(sorted(slow)),
            seconds=tries * self._pause,
            stays=self._stays_without(slow),
        )

    def _wait_for(self, slow: set[Signal], before: array[int], share: float) -> int:
        """Wait until nearly all of something has ended; after how many tries, 0 if never.

        Args:
            slow: its signals.
            before: a reading without any of it.
            share: of the tries after which none of it may be as it was.
        """
        columns = [i for i, signal in enumerate(self._signals) if signal in slow]
        most = {i: self._now[i] - before[i] for i in columns}
        for tries in range(1, _TRIES + 1):
            time.sleep(self._pause)
            self._look(self._now, settle=False)
            left = {i: self._now[i] - before[i] for i in columns}
            if all(left[i] <= _HARDLY_ANY * most[i] for i in columns):
                return tries
            if tries >= _TRIES * share and all(left[i] >= most[i] for i in columns):
                return 0
        return 0

    def _stays_without(self, slow: set[Signal]) -> tuple[Signal, ...]:
        """What some more calls leave behind once their threads and the like have ended.

        Memory of the C library that was a thread's is used again by the next one, so only
        blocks and what is counted one by one tell.
        """
        self._before[:] = self._now
        for _ in range(_MORE_CALLS):
            self._call()
        self._look(self._now, settle=False)
        self._wait_for(slow, self._before, 1.0)
        grown = dict(zip(self._signals, map(sub, self._now, self._before), strict=True))
        return tuple(
            signal
            for signal in self._signals
            if signal not in BYTE_SIGNALS and grown[signal] >= _MORE_CALLS
        )
