"""The end in pytest's process of what watches the memory of the whole run."""

from __future__ import annotations

import contextlib
import json
import os
from select import select
from typing import IO

from pytest_memguard.codecs.abort_codecs import BREACH_CODEC
from pytest_memguard.errors import Unmeasurable
from pytest_memguard.model.aborts import Breach
from pytest_memguard.probes.separate_process import pipe_identity, start_separate


class RunWatch:
    """Starts the process that watches this one and its descendants.

    Args:
        watcher: name of the module that watches.
        arguments: of its function ``main``, behind the number of this process.

    Raises:
        Unmeasurable: if it cannot be started.
    """

    def __init__(self, watcher: str, *arguments: object) -> None:
        try:
            self._answers, self._news = start_separate(
                watcher, os.getpid(), *arguments, errors=None
            )
        except OSError as error:
            msg = f"no process could be started that watches the run: {error}"
            raise Unmeasurable(msg) from error
        self._pipes = [(pipe, pipe_identity(pipe)) for pipe in (self._answers, self._news)]
        self._pid = os.getpid()
        self._text = b""
        self.has_ended = False

    def news(self) -> list[Breach]:
        """Return the moments that the watching process has reported since the last call."""
        while self._is_ours() and select([self._news], [], [], 0)[0]:
            data = os.read(self._news.fileno(), 1 << 16)
            if not data:
                self.has_ended = True
                break
            self._text += data
        *lines, self._text = self._text.split(b"\n")
        return [BREACH_CODEC.read(json.loads(line)) for line in lines if line.startswith(b"{")]

    def stops(self) -> None:
        """Say that the run stops."""
        if self._is_ours():
            with contextlib.suppress(OSError):
                os.write(self._answers.fileno(), b"stops\n")

    def close(self) -> bool:
        """End the watching process, and return whether it had watched until now."""
        self.news()
        watched = self._is_ours()
        for pipe, identity in self._pipes:
            with contextlib.suppress(OSError, ValueError):
                if _is_same(pipe, identity):
                    pipe.close()
        return watched

    def _is_ours(self) -> bool:
        """Return whether the pipes are still there: a test may close all descriptors."""
        return (
            self._pid == os.getpid()
            and not self.has_ended
            and all(_is_same(pipe, identity) for pipe, identity in self._pipes)
        )


def _is_same(pipe: IO[bytes], identity: tuple[int, int]) -> bool:
    try:
        return pipe_identity(pipe) == identity
    except (OSError, ValueError):
        return False
