"""Finds the process to watch, and the one that takes its place after a restart."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import psutil

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.values import dataclass

Value = TypeVar("Value")
_EXEC_SECONDS: Final = 0.1
"""So long the kernel may take to load a program, of which it knows no command line before."""
_CREATED_ERROR: Final = 0.05
"""Seconds by which the time at which a process was made may be wrong."""
_START_TIME: Final = 19
"""Field of /proc/PID/stat, after the name, with the time at which it was made, in ticks."""
_START_CODE: Final = 23
"""The same, with the address of the program's code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a process and the one that takes its place have in common."""

    pid: int
    """Its number."""
    command: tuple[str, ...]
    """Its command line; its name alone if that cannot be read."""
    user: object
    """The user it belongs to."""
    parent: int
    """Number of its parent."""
    program: bytes = b""
    """What changes when it replaces its program (exec); empty if that is not known."""

    @property
    def text(self) -> str:
        """The command line as one text."""
        return " ".join(self.command)


def identity_of(pid: int, *, waits: bool = True) -> Identity | None:
    """Return what a process is; ``None`` if it has ended.

    Args:
        pid: its number.
        waits: whether to wait for the end of an exec; processes of the kernel never have one.
    """
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            command = _command(process, waits=waits)
            return Identity(
                pid=pid,
                command=command,
                user=_user(process),
                parent=process.ppid(),
                program=program_of(pid, waits=waits),
            )
    except (psutil.Error, OSError):
        return None


def program_of(pid: int, *, waits: bool = True) -> bytes:
    """Return what changes when a process replaces its program; empty if it is not known.

    Args:
        pid: its number.
        waits: whether to wait for the end of an exec.
    """
    if sys.platform != "linux":
        return b""
    try:
        return _after_exec(lambda: _fields(pid)[_START_CODE], b"0", waits=waits)
    except OSError:
        return b""


def check_watchable(pid: int) -> None:
    """Check that a process is there, and that this user may watch it.

    Raises:
        Unmeasurable: if not; the text is the reason.
    """
    try:
        process = psutil.Process(pid)
        zombie = process.status() == psutil.STATUS_ZOMBIE
        owner = _user(process)
    except (psutil.NoSuchProcess, ValueError, OverflowError) as error:
        msg = f"there is no process {pid}"
        raise Unmeasurable(msg) from error
    except psutil.AccessDenied as error:
        msg = f"process {pid} cannot be read by this user"
        raise Unmeasurable(msg) from error
    if zombie:
        msg = f"process {pid} has ended, and its parent has not waited for it yet"
        raise Unmeasurable(msg)
    if hasattr(os, "geteuid") and os.geteuid() not in {0, owner}:
        with contextlib.suppress(psutil.Error):
            msg = f"process {pid} belongs to {process.username()}; only root may watch it"
            raise Unmeasurable(msg)


def successor_of(former: Identity, not_before: float) -> Identity | None:
    """Return the process that has taken the place of one that has ended.

    It has the same command line, user and parent, and was made since. If there are several,
    which one it is cannot be known.

    Args:
        former: the process that has ended.
        not_before: when that was last seen alive, as `moment` returned it.
    """
    found: list[Identity] = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if _made(process) < not_before - _CREATED_ERROR:
                continue
            candidate = identity_of(process.pid, waits=False)
            if candidate is not None and _is_like(candidate, former):
                found.append(candidate)
    return found[0] if len(found) == 1 else None


def moment() -> float:
    """Return the time in seconds, by the clock that says when processes were made."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.time() if clock is None else time.clock_gettime(clock)


def _made(process: psutil.Process) -> float:
    """Return when a process was made; psutil's own answer may be a second wrong on Linux."""
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return float(process.create_time())
    return int(_fields(process.pid)[_START_TIME]) / os.sysconf("SC_CLK_TCK")


def _fields(pid: int) -> list[bytes]:
    """Return the fields of /proc/PID/stat after the name."""
    text = Path(f"/proc/{pid}/stat").read_bytes()
    return text[text.rindex(b")") + 2 :].split()


def _is_like(candidate: Identity, former: Identity) -> bool:
    same = (candidate.command, candidate.user, candidate.parent)
    return same == (former.command, former.user, former.parent)


def _command(process: psutil.Process, *, waits: bool) -> tuple[str, ...]:
    none: tuple[str, ...] = ()
    try:
        command = _after_exec(lambda: tuple(process.cmdline()), none, waits=waits)
    except psutil.AccessDenied:
        command = none
    return command or (process.name(),)


def _after_exec(read: Callable[[], Value], missing: Value, *, waits: bool) -> Value:
    """Return what is read of a process; for a moment of exec the kernel does not have it."""
    end = time.monotonic() + (_EXEC_SECONDS if waits else 0.0)
    while (value := read()) == missing and time.monotonic() < end:
        time.sleep(_EXEC_SECONDS / 50)
    return value


def _user(process: psutil.Process) -> object:
    """Return the number of the user; the name where users have none."""
    if hasattr(process, "uids"):
        return process.uids().effective
    try:
        return process.username()
    except psutil.AccessDenied:
        return ""
