"""What the kernel says about a child process that has ended, before anything reaps it."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
import time
from dataclasses import replace
from typing import Final

from pytest_memguard.model.flights import Ending
from pytest_memguard.sizes import KIB

PATIENCE: Final = 2.0
"""Seconds to wait for the end: a pipe is closed some time before a process is gone."""
_PAUSE: Final = 0.002
_WAITID: Final = {"x86_64": 247, "aarch64": 95, "riscv64": 95}
"""Numbers of the system call on processors with 64 bits."""
_LONGS_OF_USAGE: Final = 18
_MAXRSS: Final = 4  # behind two times of two numbers each
_BYTES_OF_SIGINFO: Final = 128


def ending_of(pid: int, patience: float = PATIENCE) -> Ending | None:
    """Return how a child process ended, and how large it was. It can still be waited for.

    Args:
        pid: its number.
        patience: seconds to wait for its end.

    Returns:
        The end, or that it still runs; ``None`` if the system cannot say that without reaping
        it, or if it was reaped already.
    """
    if not hasattr(os, "waitid"):
        return None
    end = time.monotonic() + patience
    while True:
        try:
            found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except OSError:
            return None
        if found is not None:
            break
        if time.monotonic() > end:
            return Ending(running=True)
        time.sleep(_PAUSE)
    if found.si_code == os.CLD_EXITED:
        ending = Ending(exit_code=found.si_status)
    else:
        ending = Ending(signal=found.si_status)
    return replace(ending, highest=_highest(pid))


def ending_from_status(status: int | None) -> Ending:
    """Return an end from what `subprocess.Popen.poll` returns.

    Args:
        status: the exit code, or the negative number of a signal; ``None`` while it runs.
    """
    if status is None:
        return Ending(running=True)
    return Ending(signal=-status) if status < 0 else Ending(exit_code=status)


def _highest(pid: int) -> int | None:
    """Return the highest resident bytes of a child process, which has ended, or of its own.

    The system call fills in what the C library's function leaves out (waitid(2)).
    """
    number = _WAITID.get(platform.machine())
    if sys.platform != "linux" or number is None or ctypes.sizeof(ctypes.c_long) != 8:
        return None
    usage = (ctypes.c_long * _LONGS_OF_USAGE)()
    info = ctypes.create_string_buffer(_BYTES_OF_SIGINFO)
    options = os.WEXITED | os.WNOHANG | os.WNOWAIT
    try:
        failed = ctypes.CDLL(None).syscall(
            ctypes.c_long(number), os.P_PID, pid, info, options, usage
        )
    except (OSError, AttributeError):
        return None
    return None if failed else int(usage[_MAXRSS]) * KIB or None
