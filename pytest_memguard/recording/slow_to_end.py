"""Waits for threads, child processes and tasks that end by themselves after the call."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable
from operator import sub
from typing import Final

from pytest_memguard.model.leaks import BYTE_SIGNALS, Signal
from pytest_memguard.recording.signal_reading import SignalReading
from pytest_memguard.values import dataclass

_SLOW: Final[frozenset[Signal]] = frozenset(
    {"Python threads", "native threads", "child processes", "asyncio tasks"}
)
"""Signals of things that may end by themselves after the call."""
_LONGEST: Final = 5.0
"""The most seconds to wait for them once, before they are called a leak."""
_MORE_CALLS: Final = 10
"""Number of calls that show whether anything else stays."""
_SHARE_OF_TIME: Final = 0.25
"""Share of the time of a check that waiting may take."""
_FIRST_SHARE: Final = 0.5
_LATER_SHARE: Final = 0.22
"""Shares of that time to wait if none of them ends: at first, and once that has failed for
several callables."""
_TRIES: Final = 50
_SEVERAL: Final = 3
"""The least number of them to wait for."""
_HARDLY_ANY: Final = 0.1
"""Share of them that may be left for all to count as ended."""


class Patience:
    """How long to wait in this run.

    Attributes:
        in_vain: number of callables whose threads did not end while the check waited.
    """

    def __init__(self) -> None:
        self.in_vain = 0

    @property
    def share(self) -> float:
        """Share of the longest wait after which the check gives up if nothing has ended."""
        return _FIRST_SHARE if self.in_vain < _SEVERAL else _LATER_SHARE


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedThings:
    """Things that have ended."""

    names: str
    """Names of their signals."""
    seconds: float
    """How long that took."""
    stays: tuple[Signal, ...]
    """Signals that grow beside them and stay."""


class SlowToEnd:
    """Waits for things that calls have started and that end by themselves.

    A thread that checks once a second whether to end exists for up to a second. Many calls in a
    second leave many such threads, and later calls no more.

    Args:
        call: makes one call.
        reader: reads the signals.
        start: a reading from before the first call.
        seconds: of the whole check.
        patience: how long to wait in this run.
    """

    def __init__(
        self,
        call: Callable[[], None],
        reader: SignalReading,
        start: array[int],
        seconds: float,
        patience: Patience,
    ) -> None:
        self._call = call
        self._read = reader.read
        self._signals = tuple(reader.signals)
        self._start = start
        self._now, self._before = reader.row(), reader.row()
        self._patience = patience
        # a timeout of the test's may leave little time, which finding the cause needs as well
        self._pause = min(_LONGEST, _SHARE_OF_TIME * seconds) / _TRIES
        self._has_waited = False

    def wait(self) -> EndedThings | None:
        """Wait once, if there is anything to wait for; return what has ended, if all has."""
        if self._has_waited:
            return None
        self._read(self._now, settle=False)
        there = dict(zip(self._signals, map(sub, self._now, self._start), strict=True))
        slow = {signal for signal in _SLOW if there.get(signal, 0) >= _SEVERAL}
        if not slow:
            return None
        self._has_waited = True
        tries = self._wait_for(slow, self._start, self._patience.share)
        if not tries:
            self._patience.in_vain += 1
            return None
        return EndedThings(
            names=" and ".join(sorted(slow)),
            seconds=tries * self._pause,
            stays=self._stays_without(slow),
        )

    def _wait_for(self, slow: set[Signal], before: array[int], share: float) -> int:
        """Wait until nearly all things have ended; return the number of tries, or 0.

        Args:
            slow: their signals.
            before: a reading without any of them.
            share: of the tries after which some must have ended.
        """
        columns = [i for i, signal in enumerate(self._signals) if signal in slow]
        most = {i: self._now[i] - before[i] for i in columns}
        for tries in range(1, _TRIES + 1):
            time.sleep(self._pause)
            self._read(self._now, settle=False)
            left = {i: self._now[i] - before[i] for i in columns}
            if all(left[i] <= _HARDLY_ANY * most[i] for i in columns):
                return tries
            if tries >= _TRIES * share and all(left[i] >= most[i] for i in columns):
                return 0
        return 0

    def _stays_without(self, slow: set[Signal]) -> tuple[Signal, ...]:
        """Return the signals that more calls raise once their threads and the like have ended.

        C memory of a thread is reused by the next one, so only blocks and things are compared.
        """
        self._before[:] = self._now
        for _ in range(_MORE_CALLS):
            self._call()
        self._read(self._now, settle=False)
        self._wait_for(slow, self._before, 1.0)
        grown = dict(zip(self._signals, map(sub, self._now, self._before), strict=True))
        return tuple(
            signal
            for signal in self._signals
            if signal not in BYTE_SIGNALS and grown[signal] >= _MORE_CALLS
        )
