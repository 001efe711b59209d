"""Starts the process that watches for a test, and asks it."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from typing import IO, Final

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.formats import Json
from pytest_memguard.probes.own_children import PIDS
from pytest_memguard.probes.separate_process import start_separate

_PATIENCE_SECONDS: Final = 20.0
_ENDED: Final = "the process that watches has ended"
_WATCHER: Final = "pytest_memguard.recording.watch_process"


class WatchClient:
    """The process that watches one program.

    Args:
        pid: number of the process to watch.
        target: what is watched, as the user named it.
        interval: seconds between two samples.
        children: whether its descendants count.
        warm_up: seconds to leave out of the verdict; a third of the time if ``None``.

    Attributes:
        watcher: number of the process that watches.

    Raises:
        Unmeasurable: if the process cannot be watched.
    """

    def __init__(
        self, pid: int, target: str, interval: float, warm_up: float | None, *, children: bool
    ) -> None:
        __tracebackhide__ = True
        self._lock = threading.Lock()
        self._owner = os.getpid()
        self._problem = ""
        try:
            self._requests, self._answers = start_separate(
                _WATCHER, pid, interval, warm_up, target, children=children
            )
        except OSError as error:
            msg = f"no process could be started that watches: {error}"
            raise Unmeasurable(msg) from error
        try:
            self.watcher: int = self._receive()["ready"]
            PIDS.add(self.watcher)
        except Unmeasurable:
            self.close()
            raise

    def ask(self, **request: object) -> Json:
        """Return the answer to a request.

        Raises:
            Unmeasurable: if the process that watches has ended, or cannot do it.
        """
        __tracebackhide__ = True
        with self._lock:
            if self._owner != os.getpid():
                msg = "a forked copy of the process that began to watch cannot ask about it"
                raise Unmeasurable(msg)
            if self._problem:
                raise Unmeasurable(self._problem)
            try:
                _send(self._requests, request)
            except (OSError, ValueError) as error:
                self._problem = _ENDED
                raise Unmeasurable(_ENDED) from error
            return self._receive()

    def close(self) -> None:
        """End the process that watches."""
        if self._owner == os.getpid():
            PIDS.discard(getattr(self, "watcher", 0))
            for pipe in (self._requests, self._answers):
                with contextlib.suppress(OSError):
                    pipe.close()

    def _receive(self) -> Json:
        __tracebackhide__ = True
        try:
            answer = _read_answer(self._answers)
        except (OSError, ValueError) as error:
            self._problem = _ENDED
            raise Unmeasurable(_ENDED) from error
        if "error" in answer:
            raise Unmeasurable(answer["error"])
        return answer


def _send(requests: IO[bytes], request: Json) -> None:
    requests.write(json.dumps(request).encode() + b"\n")
    requests.flush()


def _read_answer(answers: IO[bytes]) -> Json:
    if os.name == "posix":
        from select import select

        if not select([answers], [], [], _PATIENCE_SECONDS)[0]:
            raise TimeoutError
    line = answers.readline()
    if not line:
        raise BrokenPipeError
    answer: Json = json.loads(line)
    return answer
