"""Starts the process that samples the tree of this one, and asks it."""

from __future__ import annotations

import atexit
import json
import os
import sys
import threading
from collections.abc import Iterable
from select import select
from typing import Any, Final

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.probes.own_children import ENDED, PIDS, SAMPLERS
from pytest_memguard.probes.separate_process import pipe_identity, start_separate
from pytest_memguard.probes.tree_marks import Since

INTERVAL_SECONDS: Final = 0.02 if sys.platform == "linux" else 0.2
"""Seconds between two samples; finding descendants takes psutil milliseconds."""
_PATIENCE_SECONDS: Final = 20.0
_ENDED: Final = "the process that samples the process tree has ended"
_SAMPLER: Final = "pytest_memguard.probes.tree_sampler"


class TreeClient:
    """The sampler of this process, started when something first asks.

    Args:
        interval: seconds between two samples.

    Attributes:
        pid: number of the process that has started it; its forked copies start their own.
        sampler: number of the sampler.
        marks: names of those in use.

    Raises:
        Unmeasurable: if it does not start.
    """

    def __init__(self, interval: float = INTERVAL_SECONDS) -> None:
        self.pid = os.getpid()
        self._lock = threading.Lock()
        self._problem = ""
        self._last_request: tuple[dict[str, Any], bytes] = {}, b""
        self.marks: set[str] = set()
        try:
            self._requests, self._answers = start_separate(_SAMPLER, self.pid, interval)
            self.sampler: int = self._receive()["ready"]
            self._identity = pipe_identity(self._requests)
        except OSError as error:
            msg = f"no process could be started that samples the process tree: {error}"
            raise Unmeasurable(msg) from error

    def mark(self, name: str, *, always: bool = True) -> Since:
        """Begin to sample, and return the level and how many descendants live.

        Args:
            name: of the mark; several may be in use.
            always: whether the level is needed if there are no descendants.

        Raises:
            Unmeasurable: if the sampler has ended.
        """
        self.marks.add(name)
        return self._ask("mark", name, always=always)

    def read(self, name: str) -> Since:
        """Return what the tree has used since a mark; it goes on.

        Raises:
            Unmeasurable: if the sampler has ended.
        """
        return self._ask("read", name, always=True)

    def read_and_mark(self, name: str) -> Since:
        """Return what the tree has used since a mark, and begin again.

        Raises:
            Unmeasurable: if the sampler has ended.
        """
        return self._ask("next", name, always=False)

    def drop(self, name: str) -> None:
        """End a mark; without any the sampler waits and does nothing."""
        if name in self.marks:
            self.marks.discard(name)
            with self._lock:
                self._send({"ask": "drop", "name": name})

    def pause(self) -> None:
        """Take no samples until further notice."""
        self._order("pause", ())

    def resume(self, hidden: Iterable[int]) -> None:
        """Go on, and leave some more processes out."""
        self._order("resume", hidden)

    def _order(self, what: str, hidden: Iterable[int]) -> None:
        """Have the sampler do something, and wait until it has."""
        if self.pid != os.getpid() or not self.marks or self._problem:
            return
        with self._lock:
            self._send({"ask": what, "name": "", "hidden": list(hidden)})
            if not self._problem:
                try:
                    self._receive()
                except (OSError, ValueError):
                    self._problem = _ENDED

    @property
    def has_ended(self) -> bool:
        """Whether the sampler is known to have ended."""
        return bool(self._problem)

    def close(self) -> None:
        """End the sampler."""
        if self.pid == os.getpid():
            for pipe in (self._requests, self._answers):
                try:
                    pipe.close()
                except OSError:
                    continue

    def _ask(self, what: str, name: str, *, always: bool) -> Since:
        with self._lock:
            if what != "mark" and name not in self.marks:  # it was another sampler's
                raise Unmeasurable(_ENDED)
            more = {"hidden": sorted(PIDS), "own_faults": ENDED.minor + ENDED.major}
            self._send({"ask": what, "name": name, "always": always, **more})
            if self._problem:
                raise Unmeasurable(self._problem)
            try:
                return Since(**self._receive())
            except (OSError, ValueError, TypeError) as error:
                self._problem = _ENDED
                raise Unmeasurable(_ENDED) from error

    def _send(self, request: dict[str, Any]) -> None:
        try:
            # a test may have closed all descriptors, and opened its own since
            if pipe_identity(self._requests) == self._identity:
                self._requests.write(self._encoded(request))
                self._requests.flush()
                return
        except (OSError, ValueError):
            pass
        self._problem = _ENDED

    def _encoded(self, request: dict[str, Any]) -> bytes:
        """A request as it is sent; most are like the one before."""
        last, text = self._last_request
        if request != last:
            text = json.dumps(request).encode() + b"\n"
            self._last_request = request, text
        return text

    def _receive(self) -> dict[str, Any]:
        pipes = [self._answers]
        if os.name == "posix" and not select(pipes, [], [], _PATIENCE_SECONDS)[0]:
            msg = "it does not answer"
            raise TimeoutError(msg)
        line = self._answers.readline()
        if not line:
            raise BrokenPipeError(_ENDED)
        answer: dict[str, Any] = json.loads(line.decode("ascii"))
        return answer


_client: TreeClient | None = None


def tree_client() -> TreeClient:
    """Return the client of this process.

    Raises:
        Unmeasurable: if the sampler cannot be started, or has ended.
    """
    global _client  # noqa: PLW0603  there is one process
    if _client is None or _client.pid != os.getpid() or _client.has_ended:
        _client = TreeClient()
        SAMPLERS[:] = [_client]
        atexit.register(_client.close)
    return _client


def close_client() -> None:
    """End the sampler of this process, if there is one that nothing uses."""
    global _client  # noqa: PLW0603  there is one process
    if _client is not None and not (_client.pid == os.getpid() and _client.marks):
        _client.close()
        atexit.unregister(_client.close)
        SAMPLERS.clear()
        _client = None
