"""The line that shows a leak check that lasts: on a terminal alone, and gone afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

pty = pytest.importorskip("pty")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no such terminals")
SLOW = """
    import os
    import time

    KEPT = []

    def test_slow():
        print("printed by the test")
        os.write(1, b"written by the test")
        time.sleep(0.15)
        KEPT.append([object() for _ in range(5000)])
"""
SHORTER = SLOW.replace("0.15", "0.02")
"""A check that would be shown if `SOON`."""
SOON = """
    from pytest_memguard.plugin.repeating import terminal_line

    terminal_line._PATIENCE = terminal_line._PAUSE = 0.1
"""
"""Shows a check after a tenth of a second, not after one."""
FUNCTION = """
    import time

    def slow():
        time.sleep(0.02)

    def test_slow(memguard):
        memguard.check_leaks(slow)
"""
FLAGS = ("--mem-leak-check", "--mem-leak-calls=16", "--mem-leak-blame=none")
CLEAR = "\x1b[B\r\x1b[K"
BACK = "\x1b8"
Screen = Callable[..., str]


@pytest.fixture
def screen(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Screen:
    """Run pytest on a terminal, and return all that it wrote there."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)

    def run(source: str, *flags: str) -> str:
        pytester.makepyfile(test_it=source)
        if source != SLOW:
            pytester.makeconftest(SOON)
        command = [sys.executable, "-m", "pytest", "-p", "pytest_memguard.plugin.hooks"]
        master, slave = pty.openpty()
        child = subprocess.Popen(
            [*command, "-p", "no:cacheprovider", *flags],
            cwd=pytester.path,
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        os.close(slave)
        parts = []
        while True:
            try:
                part = os.read(master, 65536)
            except OSError:  # the other side is closed
                part = b""
            if not part:
                break
            parts.append(part)
        child.wait()
        os.close(master)
        return b"".join(parts).decode()

    return run


def test_a_check_that_lasts_is_shown(screen):
    """Test, calls, what has grown and the time left are on one line, which is gone at last."""
    text = screen(SLOW, *FLAGS)
    lines = [part.partition("\x1b")[0] for part in text.split(CLEAR)[1:]]
    assert len(lines) >= 3
    assert lines[-1] == ""
    for line in lines[:-1]:
        assert "test_it.py::test_slow: " in line
        assert line.endswith(" s left")
        assert len(line) < 80
    assert " calls, blocks +" in lines[-2]
    # pytest goes on where it was
    assert text.rpartition(CLEAR)[2].startswith(BACK)
    assert "1 test checked for leaks" in text


def test_a_function_that_is_checked(screen):
    """The check of a function is shown as that of its test."""
    assert "test_it.py::test_slow: " in screen(FUNCTION, "--mem-leak-calls=14")


def test_nothing_of_it_is_captured(screen, pytester):
    """What a test writes is what it writes without a terminal."""
    text = screen(f"{SHORTER}\n        assert len(KEPT) > 3\n", *FLAGS, "-p", "no:terminal")
    assert CLEAR not in text
    screen(SHORTER, *FLAGS, "--junitxml=out.xml", "-o", "junit_logging=all")
    assert "left" not in (pytester.path / "out.xml").read_text()


@pytest.mark.parametrize("flags", [("-q",), ("-n1", "-p", "xdist.plugin")], ids=["q", "xdist"])
def test_where_it_is_not_shown(screen, flags):
    """A quiet run is quiet, and processes side by side would write over each other."""
    assert CLEAR not in screen(SHORTER, *FLAGS, *flags)


def test_a_terminal_that_cannot_move(screen, monkeypatch):
    """A dumb terminal has no line to be written again."""
    monkeypatch.setenv("TERM", "dumb")
    assert CLEAR not in screen(SHORTER, *FLAGS)


def test_no_terminal(pytester, run):
    """Where output goes to a file, nothing is added to it."""
    pytester.makeconftest(SOON)
    result = run(SHORTER, *FLAGS, subprocess=True)
    assert "\x1b" not in result.stdout.str() + result.stderr.str()
    assert " s left" not in result.stdout.str()
