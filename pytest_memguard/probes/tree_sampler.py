"""The process that samples the tree of a test process, so that no thread in that one has to.

Python 3.12 and later warn when a process with several threads forks, and a thread cannot sample
while the test holds the interpreter lock. The sampler is no child of the test process: what
waits for any child there never gets this one.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from typing import IO, Any, Final

from pytest_memguard.probes.separate_child import leave_parent
from pytest_memguard.probes.tree_linux import LinuxTree, TreeSample
from pytest_memguard.probes.tree_marks import Tree, TreeMark

_SHARE_OF_TIME: Final = 3
"""So many times as long as an exact sample took, there is none except on request."""
_WORTH: Final = 256 * 1024
"""Bytes above the highest so far that make an exact sample worth its time."""
_WORTH_FAULTS: Final = _WORTH // 4096
"""So many page faults can have changed as much."""


class Sampler:
    """Samples one tree while anything wants to know what it uses.

    Args:
        tree: what is sampled.
        interval: seconds between two samples.
        now: the clock.
    """

    def __init__(
        self, tree: Tree, interval: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._tree = tree
        self._interval = interval
        self._now = now
        self._marks: dict[str, TreeMark] = {}
        self._due = self._exact_due = 0.0
        self._faults: int | None = None
        self._is_paused = False

    def wait_seconds(self) -> float | None:
        """Return seconds until the next sample is due; ``None`` if nothing wants any."""
        if not self._marks or self._is_paused:
            return None
        return max(0.0, self._due - self._now())

    def sample(self) -> None:
        """Take the sample that is due: an exact one where it may be the highest so far.

        Raises:
            OSError: if the process has ended.
        """
        start = self._now()
        self._due = max(self._due + self._interval, start)
        sample = self._tree.sample(exact=False)
        self._note(sample, start)
        least = min(mark.high for mark in self._marks.values())
        worth = bool(self._tree.living) and sample.most > least + _WORTH
        if worth and start >= self._exact_due and self._has_changed():
            self._note(self._tree.sample(exact=True), self._now())
            end = self._now()
            self._exact_due = end + _SHARE_OF_TIME * (end - start)

    def _has_changed(self) -> bool:
        """Whether processes may use more than at the last exact sample."""
        before, now = self._faults, self._tree.faults()
        # those of one that has ended are missing, so that the number may fall
        if before is not None and now is not None and 0 <= now - before < _WORTH_FAULTS:
            return False
        self._faults = now
        return True

    def answer(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """Do what the test process asks for, and return the answer, if there is one.

        Args:
            request: ``ask`` is mark, read, next (both) or drop; ``name`` that of a mark;
                ``always`` whether the sample is exact even if there are no descendants;
                ``hidden`` numbers of processes that do not count; ``own_faults`` page faults
                of those that have ended. Or ``ask`` is pause or resume, for all marks.

        Raises:
            OSError: if the process has ended.
        """
        name = request["name"]
        if request["ask"] == "drop":
            self._marks.pop(name, None)
            return None
        self._tree.hide(request.get("hidden", ()))
        if request["ask"] in {"pause", "resume"}:
            self._is_paused = request["ask"] == "pause"
            self._due = self._now() + self._interval
            return {}
        self._tree.own_faults = request.get("own_faults", 0)
        if not self._marks:
            self._due = self._now() + self._interval
        sample = self._tree.sample(exact=bool(request.get("always")))
        now = self._now()
        self._note(sample, now)
        if self._tree.living and not sample.exact:
            sample, now = self._tree.sample(exact=True), self._now()
            self._note(sample, now)
        new = TreeMark(self._tree, sample, now)
        mark = self._marks.get(name, new) if request["ask"] != "mark" else new
        if request["ask"] != "read":
            self._marks[name] = new
        return mark.since(self._tree, sample, self._interval)._asdict()

    def _note(self, sample: TreeSample, now: float) -> None:
        for mark in self._marks.values():
            mark.note(self._tree, sample, now)


def serve(sampler: Sampler, requests: SimpleQueue[str], answers: IO[str]) -> None:
    """Sample and answer until there are no more requests, or the process has ended.

    Args:
        sampler: takes the samples.
        requests: a line of JSON each; an empty one is the end.
        answers: takes the answers.
    """
    while True:
        try:
            wait = sampler.wait_seconds()
            line = (
                requests.get(timeout=wait)
                if wait is None or wait > 0
                else requests.get_nowait()
            )
        except Empty:
            line = None
        try:
            if line is None:
                sampler.sample()
                continue
            if not line.strip():
                return
            answer = sampler.answer(json.loads(line))
            if answer is not None:
                _write(answers, answer)
        except (OSError, ValueError):  # the test process has ended, or closed its pipe
            return


def _write(answers: IO[str], answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def main(root: int, interval: float) -> None:  # pragma: no cover  in a process of its own
    """Be the sampler of a process.

    Args:
        root: its number.
        interval: seconds between two samples.
    """
    requests: SimpleQueue[str] = SimpleQueue()
    leave_parent()
    tree = tree_of(root, {os.getpid()})

    def read() -> None:
        for line in sys.stdin:
            requests.put(line)
        requests.put("")

    threading.Thread(target=read, daemon=True).start()
    _write(sys.stdout, {"ready": os.getpid()})
    serve(Sampler(tree, interval), requests, sys.stdout)
    os._exit(0)


def tree_of(root: int, hidden: Iterable[int] = ()) -> Tree:
    """Return the tree of a process.

    Args:
        root: its number.
        hidden: processes that do not count, and whose descendants do not.

    Raises:
        OSError: if it has ended.
    """
    tree: Tree
    if sys.platform == "linux":
        tree = LinuxTree(root, hidden)
    else:
        from pytest_memguard.probes.tree_psutil import PsutilTree

        tree = PsutilTree(root, hidden)
    return tree
