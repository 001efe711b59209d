"""Tests of how a child process has ended, with children that really end."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from pytest_memguard.model.flights import Ending
from pytest_memguard.probes import ended_process
from pytest_memguard.probes.ended_process import ending_from_status, ending_of
from pytest_memguard.sizes import MIB

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork")
linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux reports it without reaping")


def forked(act) -> int:
    """The number of a child that does something, and exits."""
    child = os.fork()
    if child == 0:
        try:
            act()
        finally:
            os._exit(0)
    return child


@linux
@pytest.mark.parametrize(
    ("act", "number", "code"),
    [
        pytest.param(lambda: os._exit(3), None, 3, id="exit"),
        pytest.param(lambda: os.kill(os.getpid(), signal.SIGKILL), 9, None, id="kill"),
        pytest.param(lambda: os.kill(os.getpid(), signal.SIGTERM), 15, None, id="term"),
    ],
)
def test_ending(act, number, code) -> None:
    """Signal or exit code are reported, and the child can still be waited for."""
    child = forked(act)
    ending = ending_of(child)
    assert (number, code) == (ending.signal, ending.exit_code)
    expected = code if number is None else -number
    assert expected == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@linux
def test_highest() -> None:
    """The size of a child is reported although it has ended."""

    def grow() -> None:
        block = bytearray(b"x") * (60 * MIB)
        os.kill(os.getpid(), signal.SIGKILL if block else 0)

    children = [forked(grow), forked(lambda: os.kill(os.getpid(), signal.SIGKILL))]
    large, small = (ending_of(child).highest for child in children)
    for child in children:
        os.waitpid(child, 0)
    assert pytest.approx(large - small, rel=0.15) == 60 * MIB


@linux
def test_still_running() -> None:
    """A child that does not end is reported as running."""
    read, write = os.pipe()
    child = forked(lambda: os.read(read, 1))
    assert Ending(running=True) == ending_of(child, 0.01)
    os.write(write, b"x")
    os.close(read)
    os.close(write)
    os.waitpid(child, 0)


@linux
def test_not_ours() -> None:
    """Nothing is reported of a process that is no child, or was waited for."""
    child = forked(lambda: None)
    os.waitpid(child, 0)
    assert ending_of(child) is None
    assert ending_of(1) is None


@linux
def test_unknown_processor(monkeypatch) -> None:
    """Where the number of the system call is not known, no size is reported."""
    monkeypatch.setattr(ended_process.platform, "machine", lambda: "z80")
    child = forked(lambda: None)
    assert Ending(exit_code=0) == ending_of(child)
    os.waitpid(child, 0)


def test_without_waitid(monkeypatch) -> None:
    """Where the system has no waitid, nothing is reported."""
    monkeypatch.delattr(os, "waitid", raising=False)
    assert ending_of(1) is None


@pytest.mark.parametrize(
    ("status", "ending"),
    [
        (None, Ending(running=True)),
        (0, Ending(exit_code=0)),
        (3, Ending(exit_code=3)),
        (-9, Ending(signal=9)),
    ],
)
def test_status(status, ending) -> None:
    """A return code of subprocess is read as well."""
    assert ending == ending_from_status(status)
