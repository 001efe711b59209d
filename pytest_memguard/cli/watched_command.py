"""The command that ``memguard watch`` starts, and how programs are ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import psutil

from pytest_memguard.cli.command_limit import CommandLimit
from pytest_memguard.errors import ConfigError

_POLL_SECONDS: Final = 0.03
GRACE_SECONDS: Final = 5.0
"""Seconds from asking a program to end until it is killed."""


class WatchedCommand:
    """A command, started when asked for, again and again.

    Args:
        words: the command line.
        limit: what it is held to; ``None`` if it may use any memory.
        stdout: descriptor of its output; ``None`` for that of this process.
        environment: its environment; ``None`` for that of this process.

    Attributes:
        limit: what it is held to.
    """

    def __init__(
        self,
        words: Sequence[str],
        limit: CommandLimit | None = None,
        stdout: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._words = list(words)
        self.limit = limit
        self._stdout = stdout
        self._environment = environment
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> int:
        """Start it, and return the number of its process.

        Raises:
            ConfigError: if it cannot be started.
        """
        limited = self.limit is not None and os.name == "posix"
        before_start = self.limit.begin_in_child if self.limit and limited else None
        try:
            self.process = subprocess.Popen(
                self._words,
                stdout=self._stdout,
                env=self._environment,
                preexec_fn=before_start,  # noqa: PLW1509  there is one thread
            )
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            reason = getattr(error, "strerror", None) or error
            msg = f"{self._words[0]} cannot be started: {reason}"
            raise ConfigError(msg) from error
        return self.process.pid

    def status(self) -> int | None:
        """Return how it ended, negative for a signal; ``None`` if it has not."""
        return None if self.process is None else self.process.poll()

    def wait(self) -> int:
        """Wait for its end, and return how it ended."""
        return 0 if self.process is None else self.process.wait()


def end_tree(pid: int, command: WatchedCommand | None, grace: float | None = None) -> None:
    """End a program and its descendants: ask first, kill what does not listen.

    Args:
        pid: number of its first process.
        command: the command, if the program is one.
        grace: seconds between both.
    """
    try:
        root = psutil.Process(pid)
    except psutil.Error:
        return
    below = _below([root])
    end = time.monotonic() + (GRACE_SECONDS if grace is None else grace)
    _ask(root)
    while time.monotonic() < end and _lives(root, command):
        time.sleep(_POLL_SECONDS)
        below |= _below([root, *below])  # it may start some still
    asked: set[psutil.Process] = set()
    while time.monotonic() < end and (left := {one for one in below if _lives(one, None)}):
        for process in left - asked:
            _ask(process)
        asked |= left
        time.sleep(_POLL_SECONDS)
        below |= _below(left)
    if _lives(root, command):
        _kill(root)
    end = time.monotonic() + GRACE_SECONDS  # one that waits for a disk does not end at once
    while time.monotonic() < end and (left := {one for one in below if _lives(one, None)}):
        below = left | _below(left)
        for process in below:
            _kill(process)
        time.sleep(_POLL_SECONDS)
    if command is not None:
        command.wait()


def _below(processes: Iterable[psutil.Process]) -> set[psutil.Process]:
    """Return the descendants of some processes."""
    found: set[psutil.Process] = set()
    for process in processes:
        with contextlib.suppress(psutil.Error):
            found.update(process.children(recursive=True))
    return found


def _kill(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.Error):
        process.kill()


def _ask(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.Error):
        process.terminate()


def _lives(process: psutil.Process, command: WatchedCommand | None) -> bool:
    if command is not None and command.status() is not None:
        return False
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def ending_text(status: int) -> str:
    """Return how a process ended, in words."""
    if status >= 0:
        return f"ended with status {status}"
    with contextlib.suppress(ValueError):
        return f"was ended by {signal.Signals(-status).name}"
    return f"was ended by signal {-status}"


class EndWaiter:
    """Waits for the end of a process, or for some time.

    Args:
        pid: number of the process.
    """

    _SLICE: Final = 0.1

    def __init__(self, pid: int) -> None:
        self._descriptor = -1
        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):
                self._descriptor = os.pidfd_open(pid)

    def wait(self, seconds: float, others: Sequence[int] = ()) -> bool:
        """Wait for so many seconds, or until the process has ended.

        Args:
            seconds: how long at most.
            others: descriptors that end it as well when they can be read.

        Returns:
            Whether one of these can be read, and the process has not ended.
        """
        own = [self._descriptor] if self._descriptor >= 0 else []
        if not own and not others:
            time.sleep(seconds)
            return False
        from select import select

        readable, _, _ = select([*own, *others], [], [], seconds)
        return bool(readable) and self._descriptor not in readable

    def close(self) -> None:
        """Close its file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
