"""Thresholds on the signals of a watch: how they are written, and when they are reached."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from pytest_memguard.errors import ConfigError, quoted
from pytest_memguard.units import parse_count, parse_size
from pytest_memguard.values import dataclass
from pytest_memguard.watch_levels import (
    NODE_SIGNALS,
    PROCESS_SIGNALS,
    SIGNAL_NAMES,
    SIZE_SIGNALS,
    Levels,
    WatchSignal,
)
from pytest_memguard.watches import Severity

_UNITS: Final = {"": 1, "s": 1, "min": 60, "m": 60, "h": 3600, "d": 86_400}
_DURATION: Final = r"(?ai)\s*(\d+(?:\.\d*)?|\.\d+)\s*(s|min|m|h|d|)\s*"
_MOST_SECONDS: Final = 366 * 86_400.0
_REARM_SHARE: Final = 0.9
"""A threshold may be reached again once the value was below this share of it."""
_POINTS: Final = 300
"""Readings that are kept of the time over which a rate is judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A level, or a growth within some time, that a signal should stay below."""

    severity: Severity
    """How bad it is to reach it."""
    signal: WatchSignal
    """The signal."""
    limit: int
    """Bytes, or a number of things."""
    seconds: float = 0.0
    """Time within which growth by the limit reaches it; 0 if the limit is a level."""
    text: str
    """As the user wrote it."""


def parse_duration(value: object, what: str, least: float = 0.0) -> float:
    """Return the seconds of a duration: 90, "90s", "5min", "2h", "1d".

    Args:
        value: what the user wrote.
        what: the setting, for messages.
        least: the shortest that makes sense.

    Raises:
        ConfigError: if it is not a duration.
    """
    text = value if isinstance(value, str) else f"{value!r}"
    match = None if isinstance(value, bool) else re.fullmatch(_DURATION, text)
    seconds = float(match[1]) * _UNITS[match[2].lower()] if match else -1.0
    if not least <= seconds <= _MOST_SECONDS:
        msg = f"{what}: {quoted(value)} is not a duration: write seconds (90) or 5min, 2h, 1d"
        if match:
            msg += f", from {least:g} s to 366d"
        raise ConfigError(msg)
    return seconds


def parse_thresholds(text: str, severity: Severity, what: str) -> list[Threshold]:
    """Return the thresholds of a list such as ``rss=8GB,fds=1000,rss=1GB/5min``.

    Args:
        text: the list.
        severity: how bad it is to reach one of them.
        what: the setting, for messages.

    Raises:
        ConfigError: if it makes no sense.
    """
    return [_threshold(part.strip(), severity, what) for part in text.split(",")]


def _threshold(text: str, severity: Severity, what: str) -> Threshold:
    name, equals, rest = text.partition("=")
    names = (*PROCESS_SIGNALS, *NODE_SIGNALS)
    signal = next((one for one in names if SIGNAL_NAMES[one] == name.strip()), None)
    if signal is None or not equals:
        msg = (
            f"{what}: {quoted(text)} is not a threshold: write SIGNAL=LIMIT, or "
            f"SIGNAL=LIMIT/TIME; signals are {', '.join(PROCESS_SIGNALS)}, and with --node "
            f"{', '.join(SIGNAL_NAMES[one] for one in NODE_SIGNALS)}"
        )
        raise ConfigError(msg)
    amount, slash, time = rest.partition("/")
    try:
        limit = parse_size(amount) if signal in SIZE_SIGNALS else parse_count(amount, signal)
    except ConfigError as error:
        msg = f"{what}: {quoted(text)}: {error}"
        raise ConfigError(msg) from None
    if not limit:
        msg = f"{what}: {quoted(text)}: a limit of 0 is always reached"
        raise ConfigError(msg)
    seconds = parse_duration(time, f"{what}: {quoted(text)}", 0.1) if slash else 0.0
    return Threshold(severity=severity, signal=signal, limit=limit, seconds=seconds, text=text)


class ThresholdState:
    """One threshold, and whether it is reached.

    Args:
        threshold: the threshold.
    """

    def __init__(self, threshold: Threshold) -> None:
        self.threshold = threshold
        self._is_reached = False
        self._recent: deque[tuple[float, int]] = deque()

    def reached(self, seconds: float, levels: Levels) -> int | None:
        """Return the value with which it was reached just now; ``None`` if it was not."""
        level = levels.of(self.threshold.signal)
        if level is None:
            return None
        value = self._risen(seconds, level) if self.threshold.seconds else level
        was = self._is_reached
        least = self.threshold.limit * (_REARM_SHARE if was else 1)
        self._is_reached = value >= least
        return value if self._is_reached and not was else None

    def take_back(self) -> None:
        """Have it not reached: a more exact reading is below it."""
        self._is_reached = False

    def forget(self) -> None:
        """Begin anew, with another process."""
        self._is_reached = False
        self._recent.clear()

    def _risen(self, seconds: float, level: int) -> int:
        """Return how far the level is above the lowest one within the time."""
        recent, span = self._recent, self.threshold.seconds
        while recent and recent[0][0] < seconds - span:
            recent.popleft()
        if not recent or seconds - recent[-1][0] >= span / _POINTS:
            recent.append((seconds, level))
        return level - min(level, *(one for _, one in recent))


class ThresholdStates:
    """All thresholds of a watch.

    Args:
        thresholds: the thresholds.
    """

    def __init__(self, thresholds: Iterable[Threshold]) -> None:
        self._states = [ThresholdState(one) for one in thresholds]

    def reached(
        self, seconds: float, levels: Levels, exactly: Callable[[], Levels]
    ) -> list[tuple[Threshold, int]]:
        """Return the thresholds that were reached just now, with the values.

        Args:
            seconds: when.
            levels: the reading.
            exactly: reads again, what is expensive included; is called before memory is said
                to have reached a threshold.
        """
        found = []
        for state in self._states:
            value = state.reached(seconds, levels)
            threshold = state.threshold
            if value is not None and threshold.signal == "rss" and not threshold.seconds:
                value = exactly().rss or 0
                if value < threshold.limit:
                    state.take_back()
                    value = None
            if value is not None:
                found.append((threshold, int(value)))
        return found

    def forget(self) -> None:
        """Begin anew, with another process."""
        for state in self._states:
            state.forget()
