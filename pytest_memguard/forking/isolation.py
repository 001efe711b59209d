"""Runs a function in a forked child, and returns its result."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from pytest_memguard.clock import Clock
from pytest_memguard.forking.pipe_messages import read_message, write_message
from pytest_memguard.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildResult:
    """The result of a child."""

    value: Any = None
    """What the function returned, through JSON."""
    problem: str = ""
    """Why there is no value; empty if there is one."""


def can_fork() -> bool:
    """Return whether this platform has fork."""
    return hasattr(os, "fork")


def run_in_fork(
    function: Callable[[], Any], timeout: float, stop: int | None = None
) -> ChildResult:
    """Call a function in a forked child; its output is discarded.

    The child has none of this process's other threads, and shares its open sockets.

    Args:
        function: returns something that JSON can represent.
        timeout: seconds after which the child is killed.
        stop: a descriptor; when there is something to read, or its end, the child is killed.
    """
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        # Python 3.12 warns about forks in a process with threads; this one is intended
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        os.close(reader)
        _run_child(function, writer)
    os.close(writer)
    try:
        data, in_time = read_message(reader, Clock.seconds() + timeout, stop)
    finally:
        os.close(reader)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        status = wait_for(pid)
    return _result(data, in_time=in_time, timeout=timeout, status=status)


def wait_for(pid: int) -> int:
    """Wait for the end of a child; return its status, 0 if the kernel has dropped it."""
    try:
        return os.waitpid(pid, 0)[1]
    except ChildProcessError:  # if SIGCHLD is ignored, the kernel drops the status
        return 0


def _result(data: bytes, *, in_time: bool, timeout: float, status: int) -> ChildResult:
    try:
        answer = json.loads(data)
    except ValueError:
        if not in_time:
            return ChildResult(problem=f"it was stopped after {timeout:g} seconds")
        how = os.waitstatus_to_exitcode(status)
        died = f"signal {-how}" if how < 0 else f"exit status {how}"
        return ChildResult(problem=f"the child died ({died})")
    return ChildResult(value=answer.get("value"), problem=answer.get("problem", ""))


def detach_output() -> None:
    """Detach from the parent's output.

    If output is captured into a file, every descriptor of that file shares its position with
    the parent's. The child gets an empty file of its own in their place.
    """
    captured = {_identity(standard) for standard in (1, 2, *_python_outputs())} - {None}
    shared = [fd for fd in _descriptors() if fd > 2 and _identity(fd) in captured]
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    for descriptor in shared:
        with tempfile.TemporaryFile() as own:
            os.dup2(own.fileno(), descriptor)


def _python_outputs() -> list[int]:
    """Return the descriptors of sys.stdout and sys.stderr, if they have any."""
    found = []
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # whatever stands in for them
            found.append(stream.fileno())
    return found


def _identity(descriptor: int) -> tuple[int, int] | None:
    """Return which regular file a descriptor belongs to; ``None`` for anything else."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISREG(status.st_mode) else None


def _descriptors() -> list[int]:
    for folder in ("/proc/self/fd", "/dev/fd"):
        with contextlib.suppress(OSError):
            return [int(entry.name) for entry in Path(folder).iterdir()]
    return list(range(3, 256))


def _run_child(function: Callable[[], Any], writer: int) -> NoReturn:
    status = 1
    try:
        os.setsid()
        detach_output()
        try:
            answer = {"value": function()}
        except BaseException as error:  # noqa: BLE001  the parent gets any error
            answer = {"problem": f"{type(error).__name__}: {error}"}
        write_message(writer, answer)
        status = 0
    finally:
        # no cleanup handlers: they belong to the parent
        os._exit(status)
