"""The limits of a leak check, and how many more calls they allow."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import pairwise
from math import inf
from typing import Final

from pytest_memguard.judge.lasting_growth import LEAST_CALLS
from pytest_memguard.judge.leak import SHORT_ROUND_CALLS, next_size
from pytest_memguard.judge.rounds import LEAST_ROUNDS
from pytest_memguard.model.leaks import BYTE_SIGNALS, Signal
from pytest_memguard.options.parsing import StopAt
from pytest_memguard.recording.kept_rounds import KeptRounds
from pytest_memguard.sizes import format_number, format_size
from pytest_memguard.values import dataclass

WARMUP: Final = 2
"""Calls before the first reading, unless the user sets another number."""
INSTRUMENTED: Final = 16
"""Approximate number of calls that one search for a cause makes under tracing."""
FEWEST_CALLS: Final = 34
"""Fewest calls with which a test is reported as leaking."""
MANY_CALLS: Final = 120
"""With at least so many calls allowed, the last rounds are long enough without a reserve."""
_EXPLAINED: Final = 6 * INSTRUMENTED
"""Approximate number of calls that all searches for a cause make together."""
_EVER_MORE: Final = 4
"""Consecutive rounds, each with more growth per call than the one before, that show
accelerating growth."""
_HARMLESS: Final = 32
"""If a single call takes more than one part in so many of a limit, the signals are read after
every call."""
_STOP_AT: Final = StopAt()  # its defaults are those of a check as well
_THREADS: Final[frozenset[Signal]] = frozenset({"Python threads", "native threads"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of a leak check."""

    calls: int = 2000
    """Most calls."""
    seconds: float = 20.0
    """Most seconds."""
    whole: float = 0.0
    """The check's whole time in seconds, if `seconds` is only what is left of it; else 0."""
    least: int = 0
    """Fewest calls, with the warm-up, before a verdict of clean."""
    warmup: int = WARMUP
    """Calls before the first reading."""
    memory: int = _STOP_AT.memory
    """Bytes that the test may leak before the check stops."""
    files: int = _STOP_AT.files
    """File descriptors, child processes or tasks that it may leak before the check stops."""
    threads: int = _STOP_AT.threads
    """Threads that it may leak before the check stops."""
    end: float = inf
    """When a timeout ends the test together with the check, by `Clock.seconds`."""


class AllowedCalls:
    """Knows how many more calls the limits allow.

    Args:
        limits: the limits of the check.
        rounds: the rounds so far.
        grown: by how much each signal has grown since the first call.

    Attributes:
        used_up: the signal that has reached its limit, if one has.
    """

    def __init__(self, limits: Limits, rounds: KeptRounds, grown: array[int]) -> None:
        self.used_up: Signal | None = None
        self._limits = limits
        self._rounds = rounds
        self._signals: Sequence[Signal] = rounds.signals
        self._grown = grown

    def stopped(self, calls: int, seconds: float, in_rounds: int, *, in_time: bool) -> str:
        """Return the reason why no further calls are made; empty if they go on.

        Args:
            calls: how many were made.
            seconds: how long the check has taken.
            in_rounds: how many of the calls were made in rounds.
            in_time: whether the calls that a verdict takes can be made in time at all.
        """
        limits = self._limits
        if calls >= limits.calls - self._reserve(in_rounds):
            return most_calls(limits.calls)
        if not in_time or seconds >= limits.seconds:
            return self._out_of_time(calls, seconds, in_rounds)
        if self._rounds.is_full:
            return "and no more rounds can be kept"
        for signal, grown in zip(self._signals, self._grown, strict=True):
            if grown > 0 and signal != "blocks" and grown >= self._most(signal):
                self.used_up = signal
                lost = format_size(grown) if signal in BYTE_SIGNALS else f"{grown} {signal}"
                return f"and {lost} are lost already"
        return ""

    def affordable(self, calls: int, seconds: float, in_rounds: int) -> int:
        """Return how many calls can be made before a limit is reached, at the rates so far.

        Args:
            calls: how many were made.
            seconds: how long the check has taken.
            in_rounds: how many of the calls were made in rounds.
        """
        limits = self._limits
        left = limits.calls - self._reserve(in_rounds) - calls
        per_call = seconds / max(1, calls)
        if per_call > 0:
            left = min(left, int((limits.seconds - seconds) / per_call))
        for signal, grown in zip(self._signals, self._grown, strict=True):
            if grown > 0 and signal != "blocks":
                per_call = max(grown / max(1, calls), self._next_rate(signal))
                fitting = int((self._most(signal) - grown) / per_call)
                # several short rounds say more than one long one
                rounds = max(1, LEAST_ROUNDS - len(self._rounds))
                left = min(left, max(1, fitting // rounds))
        return max(1, left)

    def does_harm(self) -> bool:
        """Return whether a single call takes so much that a reading must follow every call."""
        return any(
            grown > 0 and signal != "blocks" and grown > self._most(signal) / _HARMLESS
            for signal, grown in zip(self._signals, self._grown, strict=True)
        )

    def would_eat(self) -> bool:
        """Return whether the calls of a search for the cause would leak more than the limit.

        The search makes many calls. If each call keeps a constant factor more than the one
        before, the last of them keeps a multiple of all that was kept so far.
        """
        number = len(self._rounds)
        rounds = range(max(0, number - _EVER_MORE), number)
        if len(rounds) < _EVER_MORE:
            return False
        calls = self._rounds.at(number - 1).calls
        for signal in self._signals:
            rates = [self._rounds.rate_at(at, signal) for at in rounds]
            if signal not in BYTE_SIGNALS or min(rates) <= 0:
                continue
            times = min(later / earlier for earlier, later in pairwise(rates))
            if times > 1 and rates[-1] * times ** (_EXPLAINED / calls) > self._limits.memory:
                return True
        return False

    def _reserve(self, in_rounds: int) -> int:
        """Return how many calls are kept for a long last round, if the limit is low."""
        few = FEWEST_CALLS <= self._limits.calls < MANY_CALLS
        return 2 * min(next_size(in_rounds), SHORT_ROUND_CALLS) + 1 if few else 0

    def _out_of_time(self, calls: int, spent: float, in_rounds: int) -> str:
        """Return the message for the end of the time limit."""
        # what is left of another limit, such as a timeout's, has many digits
        seconds = self._limits.whole or self._limits.seconds
        most = f"{format_number(seconds)} s it may take"
        if in_rounds >= LEAST_CALLS or self._limits.whole:  # others were made before
            return f"and the {most} are over"
        figure = format_number(spent / max(1, calls), 2)
        return f"and at {figure} s each there is no time for enough in the {most}"

    def _next_rate(self, signal: Signal) -> float:
        """Return the expected growth per call of a signal in the next round.

        It is more than in the latest round if growth has sped up. A leak that doubles with each
        call would otherwise use up the limit within a round or two, which are too few for a
        verdict.
        """
        number = len(self._rounds)
        before = self._rounds.rate_at(number - 2, signal)
        latest = self._rounds.rate_at(number - 1, signal)
        if 0 < before < latest and number < LEAST_ROUNDS:
            return latest * latest / before
        return latest

    def _most(self, signal: Signal) -> int:
        if signal in BYTE_SIGNALS:
            return self._limits.memory
        return self._limits.threads if signal in _THREADS else self._limits.files


def most_calls(calls: int) -> str:
    """Return the message for the end of the calls.

    Args:
        calls: the most there may be.
    """
    more = (
        f"; at least {FEWEST_CALLS} are needed to report a leak" if calls < FEWEST_CALLS else ""
    )
    return f"and {calls} is the most there may be{more}"
