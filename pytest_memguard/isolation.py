"""Runs a function in a forked child, and returns its result."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import select
import signal
import stat
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NoReturn

from pytest_memguard.clock import Clock
from pytest_memguard.values import dataclass

_CHUNK: Final = 1 << 16
_END: Final = "end"
_GRACE: Final = 10.0
_PATIENCE: Final = 5.0


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
        data, in_time = _read_all(reader, Clock.seconds() + timeout, stop)
    finally:
        os.close(reader)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        status = _wait(pid)
    return _result(data, in_time=in_time, timeout=timeout, status=status)


class ForkServer:
    """A child that is forked now and calls a function on request, in children of its own.

    Those children are not affected by anything that this process does from now on. A child of
    this process may ask as well while this one does not; it may die while it asks.

    Args:
        function: called with a request, in a child for each; returns something that JSON can
            represent.
        prepare: called once in the server, before it answers the first request.
    """

    def __init__(
        self,
        function: Callable[[Any], Any],
        prepare: Callable[[], object] | None = None,
    ) -> None:
        requests, self._requests = os.pipe()
        self._answers, answers = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            self._pid = os.fork()
        if self._pid == 0:
            os.close(self._requests)
            os.close(self._answers)
            _serve(function, prepare, requests, answers)
        os.close(requests)
        os.close(answers)
        self._asked = 0

    @property
    def pid(self) -> int:
        """Number of the server's process; 0 if it has ended."""
        return self._pid

    def ask(self, request: Any, timeout: float) -> ChildResult:
        """Call the function in a child of the server.

        Args:
            request: its argument, through JSON.
            timeout: seconds after which that child is killed.
        """
        gone = ChildResult(problem="the process that was forked for it has gone")
        if not self._pid:
            return gone
        answer = None
        self._asked += 1
        number = f"{os.getpid()} {self._asked}"
        try:
            message = {"number": number, "request": request, "timeout": timeout}
            # what another process has left unfinished ends here
            _write_all(self._requests, message, before=b"\n")
            # the other end keeps time itself
            answer = self._answer(number, Clock.seconds() + timeout + _GRACE)
            return answer or ChildResult(problem="the process that was forked for it is stuck")
        except OSError:
            return gone
        finally:
            if answer is None:
                self.close()

    def _answer(self, number: str, deadline: float) -> ChildResult | None:
        """Return the answer to a request; ``None`` if it does not come in time.

        What comes before it is the answer to a process that has died, or the rest of one.
        """
        while True:
            data, in_time = _read_all(self._answers, deadline)
            if not in_time:
                return None
            if not data:
                raise BrokenPipeError
            for line in data.splitlines():
                with contextlib.suppress(ValueError):
                    value, problem, to = json.loads(line)
                    if to == number:
                        return ChildResult(value=value, problem=problem)

    def close(self) -> None:
        """End the server, and its child if one is running."""
        if not self._pid:
            return
        pid, self._pid = self._pid, 0
        with contextlib.suppress(OSError):
            _write_all(self._requests, _END, before=b"\n")
        os.close(self._requests)
        _read_all(self._answers, Clock.seconds() + _PATIENCE)
        os.close(self._answers)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        _wait(pid)


def _serve(
    function: Callable[[Any], Any],
    prepare: Callable[[], object] | None,
    requests: int,
    answers: int,
) -> NoReturn:
    """Answer requests until there are no more."""
    try:
        os.setsid()
        _own_output()
        with os.fdopen(requests, encoding="utf-8") as lines:
            for asked in filter(None, map(_parsed, iter(lines.readline, ""))):
                if asked == _END:
                    break
                if prepare is not None:  # most servers are never asked
                    prepare()
                    prepare = None
                call = functools.partial(function, asked["request"])
                result = run_in_fork(call, asked["timeout"], requests)
                _write_all(answers, [result.value, result.problem, asked["number"]])
    finally:
        os._exit(0)  # no cleanup handlers: they belong to the parent


def _wait(pid: int) -> int:
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


def _parsed(line: str) -> Any:
    """Return a request; ``None`` if its process died before it had written all of it."""
    try:
        return json.loads(line)
    except ValueError:
        return None


def _write_all(descriptor: int, data: Any, before: bytes = b"") -> None:
    """Write a message: JSON and a line break."""
    message = before + json.dumps(data).encode() + b"\n"
    while message:
        message = message[os.write(descriptor, message) :]


def _read_all(descriptor: int, deadline: float, stop: int | None = None) -> tuple[bytes, bool]:
    """Read to the end of the message; the second value is false if it did not come in time."""
    waiting = select.poll()  # select() does not take descriptors from 1024 on
    waiting.register(descriptor, select.POLLIN)
    if stop is not None:
        waiting.register(stop, select.POLLIN)
    data = b""
    while True:
        left = deadline - Clock.seconds()
        ready = [fd for fd, _ in waiting.poll(1000 * left)] if left > 0 else []
        if descriptor not in ready:
            return data, False
        chunk = os.read(descriptor, _CHUNK)
        if not chunk or chunk.endswith(b"\n"):
            return data + chunk, True
        data += chunk


def _own_output() -> None:
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
        _own_output()
        try:
            answer = {"value": function()}
        except BaseException as error:  # noqa: BLE001  the parent gets any error
            answer = {"problem": f"{type(error).__name__}: {error}"}
        _write_all(writer, answer)
        status = 0
    finally:
        # no cleanup handlers: they belong to the parent
        os._exit(status)
