"""Leaves a sleeping child process behind on every call."""

import atexit
import subprocess

_CHILDREN: list["subprocess.Popen[bytes]"] = []
_ENOUGH = 400
"""No tool needs more, and the machine has other users."""


@atexit.register
def end_them() -> None:
    """Leave no process behind."""
    for child in _CHILDREN:
        child.kill()
    for child in _CHILDREN:
        child.wait()


def launch() -> int | None:
    """Start a child that is never ended."""
    child = subprocess.Popen(["sleep", "300"])  # LEAK
    _CHILDREN.append(child)
    return child.poll()


def test_launch() -> None:
    """The child is running."""
    assert len(_CHILDREN) < _ENOUGH, "stopped before it does harm"
    assert launch() is None
