"""Tests of the line that shows a check: when it is written, and what it says."""

from __future__ import annotations

import os
import sys
from array import array
from collections.abc import Iterator

import pytest

from pytest_memguard.clock import Clock
from pytest_memguard.plugin.repeating.terminal_line import TerminalLine

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no such terminals")
SIGNALS = ("blocks", "C heap", "open files")
CLEAR = "\x1b8\x1b[B\r\x1b[K"


class Terminal:
    """A pipe in place of a terminal, and a clock that is set by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Open it."""
        self.now = 100.0
        self._out, into = os.pipe()
        os.set_blocking(self._out, False)
        monkeypatch.setattr(Clock, "seconds", staticmethod(lambda: self.now))
        self.line = TerminalLine(into)

    def written(self) -> list[str]:
        """What was written since the last time, by versions of the line."""
        try:
            return os.read(self._out, 65536).decode().split(CLEAR)
        except BlockingIOError:
            return []

    def after(self, seconds: float, calls: int = 1) -> list[str]:
        """What is written at the next calls, so much later."""
        self.now += seconds
        for _ in range(calls):
            self.line.called()
        return self.written()

    def read(self, *numbers: int) -> None:
        """Have the signals read."""
        self.line.has_read(SIGNALS, array("q", numbers))

    def close(self) -> None:
        """Close both ends."""
        self.line.close()
        os.close(self._out)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """A terminal on which a check of 20 seconds has begun."""
    made = Terminal(monkeypatch)
    made.line.begin("test_it.py::test_it", 20.0)
    yield made
    made.close()


def test_nothing_within_a_second(terminal):
    """A short check is not shown, nor cleared."""
    terminal.read(1, 1, 1)
    assert terminal.after(0.9, calls=100) == []
    terminal.line.end()
    assert terminal.written() == []


def test_what_it_says(terminal):
    """Test, calls, signals that have grown, and the time left."""
    terminal.read(100, 1000, 7)
    terminal.read(150, 5096, 7)
    _, text = terminal.after(1.5)
    # on 80 columns there is no room for more
    assert text == "leak check of test_it.py::test_it: 1 calls, blocks +50, at most 19 s left"


def test_it_is_written_again_twice_a_second(terminal):
    """The line is written twice a second and no more often."""
    assert len(terminal.after(1.0)) == 2
    assert terminal.after(0.4, calls=50) == []
    _, text = terminal.after(0.1)
    assert "52 calls, at most 19 s left" in text
    terminal.line.end()
    assert terminal.written() == ["", "\x1b8"]
    terminal.line.end()
    assert terminal.written() == []


def test_the_next_check_starts_anew(terminal):
    """A new check begins with calls, time and signals of its own."""
    terminal.read(1, 1, 1)
    terminal.after(30.0)
    terminal.line.end()
    terminal.line.begin("test_it.py::test_more", 5.0)
    terminal.written()
    terminal.read(500, 500, 500)
    assert terminal.after(0.9) == []
    _, text = terminal.after(0.2)
    assert text == "leak check of test_it.py::test_more: 2 calls, at most 4 s left"


@pytest.mark.parametrize("columns", [60, 200])
def test_it_fits_the_line(terminal, monkeypatch, columns):
    """Of a long name the end is shown; what has grown less tellingly gives way."""
    size = os.terminal_size((columns, 24))
    monkeypatch.setattr(os, "get_terminal_size", lambda _: size)
    terminal.line.begin(f"tests/{'long/' * 40}test_it.py::test_\u8a66\x07", 20.0)
    terminal.read(0, 0, 0)
    terminal.read(10_000, 10_000_000, 5)
    _, text = terminal.after(2.0)
    assert len(text) == columns - 1
    assert text.startswith("...")
    assert "test_\\u8a66\\x07: 1 calls, " in text
    assert ("open files +5" in text) == (columns == 200)
    assert text.endswith("at most 18 s left")


def test_a_terminal_that_is_gone(terminal):
    """The check goes on without the line."""
    os.close(terminal._out)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "write", lambda *_: (_ for _ in ()).throw(OSError))
        terminal.line.called()
        terminal.now += 2
        terminal.line.called()
    terminal.now += 2
    terminal.line.called()
    terminal.line.end()
    terminal._out = os.open(os.devnull, os.O_RDONLY)
