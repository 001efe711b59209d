"""What ``memguard watch`` shows while it lasts: a live table, or lines now and then."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Protocol

from pytest_memguard.escapes import one_line
from pytest_memguard.recording.watcher import Watcher
from pytest_memguard.report.watch_tables import (
    NOUNS,
    duration_text,
    level_text,
    levels_text,
    shown_signals,
)

if TYPE_CHECKING:
    from rich.table import Table

_LEAST_PAUSE = 1.0
_MOST_PAUSE = 60.0
_REFRESH_SECONDS = 0.25


class Screen(Protocol):
    """Shows a watch while it lasts."""

    def show(self, watcher: Watcher) -> None:
        """Show the latest reading."""

    def say(self, line: str) -> None:
        """Print a line that stays."""

    def close(self) -> None:
        """End."""


class PlainScreen:
    """A line on standard error now and then: the longer it lasts, the more rarely."""

    def __init__(self) -> None:
        self._due = 0.0

    def show(self, watcher: Watcher) -> None:
        """Print the latest reading, if a line is due."""
        elapsed = watcher.elapsed
        if elapsed >= self._due and watcher.is_alive:
            self._due = elapsed + min(_MOST_PAUSE, max(_LEAST_PAUSE, elapsed / 4))
            self.say(f"{duration_text(elapsed)}: {levels_text(watcher.latest)}")

    def say(self, line: str) -> None:
        """Print a line."""
        print(one_line(line), file=sys.stderr, flush=True)

    def close(self) -> None:
        """Nothing has to be put back."""


class RichScreen:
    """A live table on the terminal.

    Args:
        target: what is watched.

    Raises:
        ImportError: if rich is not installed.
    """

    def __init__(self, target: str) -> None:
        from rich.console import Console
        from rich.live import Live

        self._target = one_line(target)
        self._console: Any = Console(stderr=True)
        self._live: Any = Live(console=self._console, auto_refresh=False, transient=True)
        self._live.start()
        self._due = 0.0

    def show(self, watcher: Watcher) -> None:
        """Draw the table, four times a second at most."""
        now = time.monotonic()
        if now >= self._due:
            self._due = now + _REFRESH_SECONDS
            self._live.update(self._table(watcher), refresh=True)

    def say(self, line: str) -> None:
        """Print a line above the table."""
        from rich.text import Text

        self._console.print(Text(one_line(line)))

    def close(self) -> None:
        """Remove the table."""
        self._live.stop()

    def _table(self, watcher: Watcher) -> Table:
        from rich.markup import escape
        from rich.table import Table

        state = "" if watcher.is_alive else ", ended"
        title = (
            f"{self._target}, process {watcher.pid}{state}, {duration_text(watcher.elapsed)}"
        )
        table = Table(title=escape(title))
        table.add_column("Signal")
        for name in ("First", "Now", "Peak"):
            table.add_column(name, justify="right")
        for signal in shown_signals(watcher.peak):
            levels = (watcher.first, watcher.latest, watcher.peak)
            cells = (level_text(signal, one.of(signal)) for one in levels)
            table.add_row(NOUNS[signal], *cells)
        return table


def screen_for(target: str, *, quiet: bool) -> Screen | None:
    """Return what shows a watch; ``None`` if nothing shall.

    Args:
        target: what is watched.
        quiet: whether the user wants the result alone.
    """
    if quiet:
        return None
    if sys.stderr.isatty():
        try:
            return RichScreen(target)
        except ImportError:  # an extra
            pass
    return PlainScreen()
