"""The line on a terminal that says what a long leak check is doing."""

from __future__ import annotations

import math
import os
import sys
from array import array
from collections.abc import Sequence
from typing import Any, Final

import pytest

from pytest_memguard.clock import Clock
from pytest_memguard.escapes import one_line
from pytest_memguard.model.leaks import BYTE_SIGNALS, Signal
from pytest_memguard.sizes import format_size

_PATIENCE: Final = 1.0
"""Seconds of a check before there is anything to see."""
_PAUSE: Final = 0.5
"""Seconds between two versions of the line."""
_WIDTH: Final = 80
_NAME: Final = 30
"""Columns that the test has at least, if what has grown is to be shown beside."""
_HIGH: Final = 200
"""Descriptor from which on ours is, so that tests get the same ones as without it."""
_SAVE: Final = "\x1bD\x1b[A\x1b7"
"""Makes sure of a line below, and notes where pytest goes on: down, up, save the cursor."""
_BELOW: Final = "\x1b8\x1b[B\r\x1b[K"
"""Goes to the line below, and clears it."""
_BACK: Final = "\x1b8"
"""Goes back to where pytest goes on."""


class TerminalLine:
    """Shows a check that lasts longer than a second, on the line below pytest's own.

    It writes to the terminal itself, past what captures output, and is gone when the check is.

    Args:
        terminal: descriptor of a terminal; it is closed with this.
    """

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self._test = ""
        self._seconds = self._started = self._due = 0.0
        self._calls = 0
        self._shown = False
        self._signals: Sequence[Signal] = ()
        self._first: array[int] | None = None
        self._latest: array[int] | None = None

    def begin(self, test: str, seconds: float) -> None:
        """A check begins.

        Args:
            test: its node id.
            seconds: that it may take.
        """
        # signs that take two places would break the line
        self._test = one_line(test).encode("ascii", "backslashreplace").decode()
        self._seconds = seconds
        self._started = Clock.seconds()
        self._due = self._started + _PATIENCE
        self._calls = 0
        self._first = self._latest = None
        self._text(0.0)  # what the first one makes is there before anything is counted

    def called(self) -> None:
        """One more call has been made."""
        self._calls += 1
        now = Clock.seconds()
        if now >= self._due:
            self._due = now + _PAUSE
            self._write(_BELOW + self._text(now - self._started))

    def has_read(self, signals: Sequence[Signal], row: array[int]) -> None:
        """Every signal has been read; the first reading is what others are compared with."""
        if self._first is None or self._latest is None:
            self._signals = signals
            self._first, self._latest = array("q", row), array("q", row)
        self._latest[:] = row

    def end(self) -> None:
        """The check is over: there is nothing more to see."""
        if self._shown:
            self._write(_BELOW + _BACK)
            self._shown = False

    def close(self) -> None:
        """There are no more checks."""
        self.end()
        if self._terminal >= 0:
            os.close(self._terminal)
            self._terminal = -1

    def _text(self, spent: float) -> str:
        """Test, calls, what has grown, and how long it may still take."""
        left = max(0, math.ceil(self._seconds - spent))
        room = self._width() - 1
        grown = self._grown()
        while True:
            parts = [f"{self._calls:,} calls", *grown, f"at most {left} s left"]
            numbers = f": {', '.join(parts)}"
            if not grown or len(numbers) + _NAME <= room:
                break
            grown.pop()  # the first ones say most
        test = f"leak check of {self._test}"
        over = len(test) + len(numbers) - room
        if over > 0:  # the end of the name says more
            test = f"...{test[over + 3 :]}"
        return f"{test}{numbers}"[:room]

    def _width(self) -> int:
        try:
            columns = os.get_terminal_size(self._terminal).columns
        except OSError:
            columns = 0
        return columns or _WIDTH  # some terminals do not know

    def _grown(self) -> list[str]:
        if self._first is None or self._latest is None:
            return []
        pairs = zip(self._signals, self._first, self._latest, strict=True)
        more = [(signal, latest - first) for signal, first, latest in pairs if latest > first]
        return [
            f"{signal} +{format_size(number) if signal in BYTE_SIGNALS else f'{number:,}'}"
            for signal, number in more
        ]

    def _write(self, text: str) -> None:
        if self._terminal < 0:
            return
        start = "" if self._shown else _SAVE
        self._shown = True
        try:
            os.write(self._terminal, f"{start}{text}".encode("ascii"))
        except OSError:  # it is gone: the check goes on
            os.close(self._terminal)
            self._terminal = -1


def terminal_line(config: pytest.Config) -> TerminalLine | None:
    """The line, where pytest itself writes to a terminal that can show it; else nothing.

    Args:
        config: pytest's, at a time when nothing is captured.
    """
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput") or sys.platform == "win32":
        return None
    if config.option.verbose < 0 or os.environ.get("TERM", "dumb") in {"", "dumb"}:
        return None
    file: Any = getattr(getattr(reporter, "_tw", None), "_file", None)
    try:
        if not file.isatty():
            return None
        terminal = _copy(file.fileno())
    except (AttributeError, OSError, ValueError):
        return None
    return TerminalLine(terminal)


def _copy(descriptor: int) -> int:
    import fcntl

    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _HIGH)
    except OSError:  # so many are not allowed
        return os.dup(descriptor)
