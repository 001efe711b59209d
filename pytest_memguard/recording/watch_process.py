"""The process that watches for a test, so that no thread in the test's process has to.

A thread could not sample while the test holds the interpreter lock, and Python 3.12 and later
warn when a process with several threads forks.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from queue import Empty, SimpleQueue
from typing import IO, Any

from pytest_memguard.codecs.watch_codecs import WATCH_CODEC, WATCH_STAGE_CODEC
from pytest_memguard.errors import Unmeasurable
from pytest_memguard.formats import Json
from pytest_memguard.probes.separate_child import leave_parent
from pytest_memguard.recording.pace import Pace
from pytest_memguard.recording.watcher import Watcher


def answer(watcher: Watcher, request: Json) -> Json:
    """Do what the test's process asks for.

    Args:
        watcher: the watch.
        request: ``ask`` is begin-stage, end-stage, follow, record or end.
    """
    ask = request["ask"]
    try:
        if ask == "begin-stage":
            watcher.begin_stage(request["name"])
        elif ask == "end-stage":
            return {"stage": WATCH_STAGE_CODEC.write(watcher.end_stage(request["name"]))}
        elif ask == "follow":
            watcher.follow(request["pid"])
        else:
            watcher.sample(exactly=True)
            return {"record": WATCH_CODEC.write(watcher.record())}
    except Unmeasurable as error:
        return {"error": str(error)}
    return {}


def serve(
    watcher: Watcher, interval: float, requests: SimpleQueue[str], answers: IO[str]
) -> None:
    """Sample and answer until there are no more requests.

    Args:
        watcher: the watch.
        interval: seconds between two samples.
        requests: a line of JSON each; an empty one is the end.
        answers: takes the answers.
    """
    pace = Pace(interval, time.monotonic)
    while True:
        wait = pace.wait_seconds()
        try:
            line = requests.get(timeout=wait) if wait > 0 else requests.get_nowait()
        except Empty:
            pace.step()
            watcher.sample()
            continue
        if not line.strip():
            return
        request: dict[str, Any] = json.loads(line)
        try:
            _write(answers, answer(watcher, request))
        except OSError:  # the test's process has ended
            return
        if request["ask"] == "end":
            return


def _write(answers: IO[str], content: Json) -> None:
    answers.write(json.dumps(content) + "\n")
    answers.flush()


def main(
    pid: int, interval: float, warm_up: float | None, target: str, *, children: bool
) -> None:  # pragma: no cover  in a process of its own
    """Be the process that watches.

    Args:
        pid: number of the process to watch.
        interval: seconds between two samples.
        warm_up: seconds to leave out of the verdict.
        target: what is watched, as the user named it.
        children: whether its descendants count.
    """
    leave_parent()
    requests: SimpleQueue[str] = SimpleQueue()
    try:
        watcher = Watcher(
            pid, target=target, interval=interval, children=children, warm_up=warm_up
        )
    except Unmeasurable as error:
        _write(sys.stdout, {"error": str(error)})
        os._exit(0)

    def read() -> None:
        for line in sys.stdin:
            requests.put(line)
        requests.put("")

    threading.Thread(target=read, daemon=True).start()
    _write(sys.stdout, {"ready": os.getpid()})
    serve(watcher, interval, requests, sys.stdout)
    os._exit(0)
