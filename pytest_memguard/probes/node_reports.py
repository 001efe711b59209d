"""Receives what Node.js programs report of their memory while they are watched."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.values import dataclass
from pytest_memguard.watch_levels import NodeSignal

ReportKind: TypeAlias = Literal["reading", "stage", "iteration", "snapshot"]
Thread: TypeAlias = tuple[int, int]
"""Numbers of a process and of a thread in it; each has a heap of its own."""
PRELOAD: Final = Path(__file__).parents[1] / "node" / "preload.cjs"
VARIABLE: Final = "MEMGUARD_NODE"
"""The variable that names the folder and the interval to the preloaded script."""
_PIPE: Final = "reports"
_NAMES: Final[dict[str, NodeSignal]] = {
    "heapTotal": "heap_total",
    "heapUsed": "heap_used",
    "external": "external",
    "arrayBuffers": "array_buffers",
}
_KEPT_NAMES: Final[dict[str, NodeSignal]] = {
    "heapUsed": "heap_kept",
    "external": "external_kept",
}
_CHUNK: Final = 1 << 16
_MOST: Final = 1 << 53
"""The largest whole number that JavaScript counts to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReport:
    """One line that a Node.js program has written."""

    kind: ReportKind
    """Why it was written."""
    thread: Thread
    """Who wrote it."""
    at: float
    """When, by the clock of `time.monotonic`."""
    rss: int = 0
    """Resident bytes of the process; 0 in a report on a snapshot."""
    memory: dict[NodeSignal, int]
    """What `process.memoryUsage` returned, and what the latest full collection left."""
    text: str = ""
    """Name of a stage, or the file of a snapshot."""
    count: int = 0
    """Iterations that were done."""
    of: int = 0
    """All iterations; 0 if the program has not announced them."""


class NodeReports:
    """A named pipe in a folder of its own, to which the programs write.

    Args:
        interval: seconds between two reports of a program.

    Attributes:
        descriptor: becomes readable when something was reported.

    Raises:
        Unmeasurable: if there are no named pipes here.
    """

    def __init__(self, interval: float) -> None:
        if not hasattr(os, "mkfifo"):
            msg = "this system has no named pipes, through which Node.js would report"
            raise Unmeasurable(msg)
        self._interval = interval
        self._folder = Path(tempfile.mkdtemp(prefix="memguard-node-"))
        pipe = self._folder / _PIPE
        os.mkfifo(pipe, 0o600)
        self.descriptor = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        self._writer = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)  # or there may be none
        self._rest = b""

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of a program that shall report.

        Args:
            base: the environment that it would have.
        """
        path = str(PRELOAD).replace("\\", "\\\\").replace('"', '\\"')
        options = f'{base.get("NODE_OPTIONS", "")} --require "{path}"'.strip()
        milliseconds = max(1, round(self._interval * 1000))
        variable = f"{self._folder}\n{milliseconds}"
        return {**base, "NODE_OPTIONS": options, VARIABLE: variable}

    def receive(self) -> list[NodeReport]:
        """Return what was reported since the last call."""
        found = []
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self.descriptor, _CHUNK):
                *lines, self._rest = (self._rest + chunk).split(b"\n")
                found += [parsed for line in lines if (parsed := parse_report(line))]
        return found

    def ask_for_snapshot(self, thread: Thread, now: Path, at_exit: Path | None) -> None:
        """Have a program write a heap snapshot, and perhaps another one when it exits.

        Args:
            thread: whose heap.
            now: the file; the program overwrites it.
            at_exit: the file of the other one.
        """
        pid, number = thread
        wanted = {"now": str(now), "atExit": str(at_exit) if at_exit else None}
        name = self._folder / f"snapshot-{pid}-{number}"
        with_suffix = name.with_suffix(".new")
        with_suffix.write_text(json.dumps(wanted), encoding="utf-8")
        with_suffix.replace(name)

    def close(self) -> None:
        """Remove the pipe; programs that still run stop reporting."""
        for descriptor in (self.descriptor, self._writer):
            os.close(descriptor)
        shutil.rmtree(self._folder, ignore_errors=True)


def parse_report(line: bytes) -> NodeReport | None:
    """Return a report from its line; ``None`` if it makes no sense."""
    try:
        data = json.loads(line)
        kind = data["kind"]
        if kind not in {"reading", "stage", "iteration", "snapshot"}:
            return None
        return NodeReport(
            kind=kind,
            thread=(_whole(data["pid"]), _whole(data["thread"])),
            at=float(data["at"]),
            rss=_whole(data["memory"]["rss"]) if kind != "snapshot" else 0,
            memory=_memory(data),
            text=str(data.get("name") or data.get("file") or ""),
            count=_whole(data.get("count", 0)),
            of=_whole(data.get("of", 0)),
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _memory(data: Mapping[str, Any]) -> dict[NodeSignal, int]:
    found: dict[NodeSignal, int] = {}
    for part, names in ((data.get("memory"), _NAMES), (data.get("kept"), _KEPT_NAMES)):
        for name, signal in names.items():
            if part and name in part:
                found[signal] = _whole(part[name])
    return found


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST:
        raise ValueError
    return value
