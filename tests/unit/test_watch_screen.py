"""What ``memguard watch`` shows while it lasts."""

from __future__ import annotations

import os
import sys

import pytest

from pytest_memguard.cli import watch_screen as module
from pytest_memguard.cli.watch_screen import PlainScreen, RichScreen, screen_for
from pytest_memguard.recording.watcher import Watcher


class Clock:
    """A clock that goes on only when it is set."""

    def __init__(self) -> None:
        """Begin."""
        self.time = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.time


@pytest.fixture
def watcher():
    """A watch of this process."""
    clock = Clock()
    found = Watcher(os.getpid(), now=clock)
    found.clock = clock
    yield found
    found.close()


def test_lines_become_rare(watcher, capsys) -> None:
    """Lines come every second at first, and every minute in the end."""
    screen = PlainScreen()
    for _ in range(3600):
        screen.show(watcher)
        watcher.clock.time += 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("0.0 s: rss ")
    assert lines[1].startswith("1.0 s: rss ")
    assert 65 < len(lines) < 90


def test_a_live_table(watcher, monkeypatch, capfd) -> None:
    """With rich there is a table that is drawn four times a second at most."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    screen = RichScreen("python [b]x[/b]")
    for _ in range(50):
        screen.show(watcher)
    screen.say("warn: [red]fds=5[/red]\x1b[2J was reached")
    screen.close()
    shown = capfd.readouterr().err
    assert "python [b]x[/b], process" in shown
    assert "rss MiB" in shown
    assert "[red]fds=5[/red]\\x1b" in shown
    assert shown.count("connections") < 5


@pytest.mark.parametrize(
    ("is_terminal", "has_rich", "quiet", "kind"),
    [
        pytest.param(True, True, False, RichScreen, id="terminal"),
        pytest.param(True, False, False, PlainScreen, id="without-rich"),
        pytest.param(False, True, False, PlainScreen, id="no-terminal"),
        pytest.param(True, True, True, type(None), id="quiet"),
    ],
)
def test_which_screen(monkeypatch, is_terminal, has_rich, quiet, kind) -> None:
    """A live table takes a terminal and rich; otherwise there are lines."""
    monkeypatch.setattr(module.sys.stderr, "isatty", lambda: is_terminal, raising=False)
    if not has_rich:
        monkeypatch.setitem(sys.modules, "rich.live", None)
    screen = screen_for("x", quiet=quiet)
    assert type(screen) is kind
    if screen is not None:
        screen.close()
