"""Waits for child processes, and keeps the pipes to what they said."""

import subprocess
import sys

_DONE: list["subprocess.Popen[bytes]"] = []


def run(word: str) -> int:
    """Run a command and keep it, with its pipe."""
    child = subprocess.Popen(["true", word], stdout=subprocess.PIPE)  # LEAK
    _DONE.append(child)
    return child.wait()


def test_run() -> None:
    """The command succeeds."""
    assert sys.platform != "win32"
    assert run("now") == 0
