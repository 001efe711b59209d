"""Keeps a forked child that calls a function on request, in children of its own."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import warnings
from collections.abc import Callable
from typing import Any, Final, NoReturn

from pytest_memguard.clock import Clock
from pytest_memguard.forking.isolation import ChildResult, detach_output, run_in_fork, wait_for
from pytest_memguard.forking.pipe_messages import read_message, write_message

_END: Final = "end"
_GRACE: Final = 10.0
_PATIENCE: Final = 5.0


class ForkServer:
    """A child that is forked now and calls a function on request, in children of its own.

    Those children are not affected by anything that this process does from now on. A child of
    this process may ask as well while this one does not; it may die while it asks.

    Args:
        function: called with a request, in a child for each; returns something that JSON can
            represent.
        prepare: called in the server with each request, before its child is forked.
    """

    def __init__(
        self,
        function: Callable[[Any], Any],
        prepare: Callable[[Any], object] | None = None,
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
            write_message(self._requests, message, before=b"\n")
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
            data, in_time = read_message(self._answers, deadline)
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
            write_message(self._requests, _END, before=b"\n")
        os.close(self._requests)
        read_message(self._answers, Clock.seconds() + _PATIENCE)
        os.close(self._answers)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        wait_for(pid)


def _serve(
    function: Callable[[Any], Any],
    prepare: Callable[[Any], object] | None,
    requests: int,
    answers: int,
) -> NoReturn:
    """Answer requests until there are no more."""
    try:
        os.setsid()
        detach_output()
        with os.fdopen(requests, encoding="utf-8") as lines:
            for asked in filter(None, map(_parsed, iter(lines.readline, ""))):
                if asked == _END:
                    break
                if prepare is not None:
                    prepare(asked["request"])
                call = functools.partial(function, asked["request"])
                result = run_in_fork(call, asked["timeout"], requests)
                write_message(answers, [result.value, result.problem, asked["number"]])
    finally:
        os._exit(0)  # no cleanup handlers: they belong to the parent


def _parsed(line: str) -> Any:
    """Return a request; ``None`` if its process died before it had written all of it."""
    try:
        return json.loads(line)
    except ValueError:
        return None
