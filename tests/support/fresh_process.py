"""Processes in which nothing has happened yet, forked from one that has imported everything.

A test that wants a heap without a past, or a small one, has it here for a fraction of what a
new interpreter costs. Where there is no fork, runs of pytest are in new interpreters, and what
else is asked for is done in the tests' own process.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from functools import cache, wraps
from importlib import import_module
from pathlib import Path
from typing import Any

AVAILABLE = hasattr(os, "fork")
_ROOT = Path(__file__).parents[2]
_PATIENCE = 300.0  # seconds; whatever takes longer has failed
_SMALL = "tests.support.forked_leak_check"
"""What a process with a small heap imports."""
_running: list[_Server] = []


class _Server:
    """A process that forks.

    Args:
        module: what it imports before.
    """

    def __init__(self, module: str) -> None:
        """Start it."""
        self.cpu_seconds = 0.0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.fork_server", module],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        _running.append(self)

    def fork(self, function: Callable[..., Any], arguments: Sequence[Any], to: Path) -> int:
        """Have a function called.

        Args:
            function: one of a module.
            arguments: what it is called with.
            to: the folder for the files ``answer``, ``stdout`` and ``stderr``.

        Returns:
            How the child ended.
        """
        into, out = self._process.stdin, self._process.stdout
        assert into is not None
        assert out is not None
        (to / "question").write_bytes(pickle.dumps((sys.path, function, arguments)))
        into.write(f"{to}\n")
        into.flush()
        child = int(out.readline())
        timer = threading.Timer(_PATIENCE, os.kill, (child, signal.SIGKILL))
        timer.start()
        try:
            status, seconds = out.readline().split()
        finally:
            timer.cancel()
        self.cpu_seconds += float(seconds)
        return int(status)

    def stop(self) -> None:
        """End it, so that its time counts among that of the tests."""
        self._process.communicate()


server = cache(_Server)


def stop() -> None:
    """End whatever has forked."""
    while _running:
        _running.pop().stop()
    server.cache_clear()


def cpu_seconds() -> float:
    """What all forks have used."""
    return sum(each.cpu_seconds for each in _running)


def fresh(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns in a process of its own, which has imported its module alone.

    Args:
        function: one of a module.
        arguments: what it is called with; they and the answer are pickled.
    """
    return _asked(function.__module__, function, arguments)


def _asked(module: str, function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    if not AVAILABLE:
        return function(*arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        status = server(module).fork(function, arguments, folder)
        if status:
            msg = f"exit status {status}: {(folder / 'stderr').read_text()}"
            raise AssertionError(msg)
        value, error = pickle.loads((folder / "answer").read_bytes())  # noqa: S301  our own
    if error is not None:
        raise error
    return value


def _test(module: str, name: str, arguments: dict[str, Any]) -> None:
    getattr(import_module(module), name).__wrapped__(**arguments)


def alone(test: Callable[..., None]) -> Callable[..., None]:
    """Let a test, but not its fixtures, have a process of its own and so a small heap.

    Looking for what holds a leak takes as long as the heap is large, and that of a process
    with all tests of this suite is ten times as large as it need be.
    """

    @wraps(test)
    def in_fork(**arguments: Any) -> None:
        _asked(_SMALL, _test, (test.__module__, test.__name__, arguments))

    return in_fork
