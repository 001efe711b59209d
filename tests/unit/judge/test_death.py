"""Tests of the rules: how the process of an isolated test died."""

from __future__ import annotations

import sys

import pytest

from pytest_memguard.judge.death import death_of, frames
from pytest_memguard.model.flights import Ending
from pytest_memguard.sizes import MIB

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")

ABORTED = Ending(signal=6, highest=150 * MIB)
CRASH = """\
Fatal Python error: Segmentation fault

Thread 0x00007f01 (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 320 in wait

Current thread 0x00007f02 (most recent call first):
  File "/usr/lib/python3.11/ctypes/__init__.py", line 519 in string_at
  File "/project/test_it.py", line 4 in test_it
  File "/site-packages/_pytest/python.py", line 170 in pytest_pyfunc_call
  File "/site-packages/pluggy/_callers.py", line 103 in _multicall

Extension modules: numpy.core._multiarray_umath (total: 1)
"""
MINE = (
    "/usr/lib/python3.11/ctypes/__init__.py:519 in string_at",
    "test_it.py:4 in test_it",
)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param(CRASH, MINE, id="crash"),
        pytest.param("", (), id="nothing"),
        pytest.param(
            'Stack (most recent call first):\n  File "/p/_pytest/a.py", line 1 in f\n',
            ("/p/_pytest/a.py:1 in f",),
            id="pytest-alone",
        ),
        pytest.param(
            "Current thread 0x1 (most recent call first):\n"
            '  File "t.py", line 1 in f\n\n'
            "Thread 0x2 (most recent call first):\n"
            '  File "u.py", line 2 in g\n',
            ("t.py:1 in f",),
            id="another-thread-behind",
        ),
    ],
)
def test_frames(lines, expected) -> None:
    """The stack is that of the thread that died, up to where pytest called the test."""
    assert expected == frames(lines.splitlines(), "/project/")


@pytest.mark.parametrize(
    ("ending", "stopped", "cause"),
    [
        pytest.param(Ending(signal=11), None, "crashed", id="segfault"),
        pytest.param(Ending(exit_code=3), None, "exited", id="exit"),
        pytest.param(Ending(signal=9, oom_kills=0), None, "killed", id="killed"),
        pytest.param(Ending(signal=9, oom_kills=1), None, "out-of-memory", id="kernel"),
        pytest.param(ABORTED, "limit", "limit", id="limit"),
        pytest.param(ABORTED, "timeout", "timeout", id="timeout"),
    ],
)
def test_cause(ending, stopped, cause) -> None:
    """A test that memguard has stopped did not die of the signal that it was sent."""
    assert cause == death_of(ending, phase="call", seconds=1.0, stopped=stopped).cause


@pytest.mark.parametrize(
    ("level", "seen", "used"),
    [
        pytest.param(100 * MIB, 0, 50 * MIB, id="from-the-kernel"),
        pytest.param(100 * MIB, 70 * MIB, 70 * MIB, id="with-its-children"),
        pytest.param(None, 0, None, id="not-begun"),
    ],
)
def test_what_it_used(level, seen, used) -> None:
    """Memory is what the kernel or a sample has seen above the level at the start."""
    death = death_of(ABORTED, phase="call", seconds=1.0, level=level, seen=seen)
    assert used == death.used
