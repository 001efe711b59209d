"""What ``memguard watch --node`` does beside a watch: reports, and a pair of heap snapshots."""

from __future__ import annotations

import contextlib
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from select import select
from typing import Final

from pytest_memguard.cli.watch_settings import DEFAULT_FOLDER, WatchSettings
from pytest_memguard.errors import ConfigError, Unmeasurable
from pytest_memguard.probes.node_reports import NodeReports, Thread
from pytest_memguard.probes.watched_process import identity_of
from pytest_memguard.recording.node_memory import NodeMemory
from pytest_memguard.recording.watcher import Watcher
from pytest_memguard.watch_levels import KEPT_SIGNALS
from pytest_memguard.watches import WatchGrowth

_PATIENCE_SECONDS: Final = 120.0
"""So long the end of the watch waits for a snapshot: V8 writes some 50 MB a second."""
_POLL_SECONDS: Final = 0.2
"""Meanwhile the command checks so often whether the program still runs."""
_NEXT_JUDGEMENT: Final = 1.2
"""The next time at which growth is judged, as a multiple of the last one."""


class WatchedNode:
    """The reports of Node.js programs, and the heap snapshots of one that grows.

    The first snapshot is taken when growth is seen, the last one at the end of the watch, or
    when the program exits.

    Args:
        memory: what the programs report.
        folder: where snapshots are written; ``None`` if none are asked for.
    """

    def __init__(self, memory: NodeMemory, folder: Path | None) -> None:
        self.memory = memory
        self._parent = folder
        self._asked: Thread | None = None
        self._files: list[Path] = []
        self._due = 0.0

    def environment(self) -> dict[str, str]:
        """Return the environment of the command."""
        return self.memory.reports.environment(os.environ)

    def ask_for_first(self, watcher: Watcher) -> None:
        """Have the first snapshot taken, if the program grows by now."""
        if self._parent is None or self._asked is not None or watcher.elapsed < self._due:
            return
        self._due = watcher.elapsed * _NEXT_JUDGEMENT
        growing = {one.signal for one in watcher.record().growth.growing}
        thread = self.memory.grown_most()
        if thread is not None and growing & set(KEPT_SIGNALS):
            self._asked = thread
            first, last = self._new_files(self._parent, thread)
            self.memory.reports.ask_for_snapshot(thread, first, last)

    def ask_for_last(self, watcher: Watcher) -> tuple[str, ...]:
        """Have the last snapshot taken if the program still runs; return those there are."""
        if self._asked is not None and watcher.is_alive:
            self._wait_for(1)
            if len(self.memory.snapshots) == 1:
                self.memory.reports.ask_for_snapshot(self._asked, self._files[1], None)
                self._wait_for(2)
        self.memory.receive()
        written = self.memory.snapshots
        for file in self._files:
            if str(file) not in written:
                file.unlink(missing_ok=True)
        return tuple(map(_shown, written))

    def note(self, growth: WatchGrowth) -> list[str]:
        """Return what the verdict does not say of the heap snapshots.

        Args:
            growth: the verdict.
        """
        written = [_shown(file) for file in self.memory.snapshots]
        if len(written) > 1:  # if it still grows at the end, the verdict names them
            pair = f"it grew for a while: memguard heapdiff {written[0]} {written[1]}"
            return [] if growth.state == "growing" else [pair]
        if written:
            return [
                f"the program ended before its last heap snapshot; the first is {written[0]}"
            ]
        if self._parent is None or growth.state != "growing":
            return []
        return ["no heap snapshots were written: growth was seen too late"]

    def _wait_for(self, count: int) -> None:
        """Wait until so many are written, the program ends, or the user does not wait."""
        descriptor = self.memory.reports.descriptor
        end = time.monotonic() + _PATIENCE_SECONDS
        with contextlib.suppress(KeyboardInterrupt):
            while len(self.memory.snapshots) < count and time.monotonic() < end:
                select([descriptor], [], [], _POLL_SECONDS)
                is_running = self._asked and identity_of(self._asked[0], waits=False)
                self.memory.receive()
                if not is_running:
                    return

    def _new_files(self, parent: Path, thread: Thread) -> tuple[Path, Path]:
        """Make the files, which only this user can read; V8 overwrites them."""
        moment = datetime.now(tz=UTC).strftime("%Y%m%d-%H%M%S")
        folder = (parent / f"heap-{thread[0]}-{moment}").absolute()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._files = [folder / name for name in ("first.heapsnapshot", "last.heapsnapshot")]
        for file in self._files:
            os.close(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600))
        first, last = self._files
        return first, last

    def close(self) -> None:
        """Remove the pipe."""
        self.memory.reports.close()


def _shown(file: str) -> str:
    """Return the path of a file as a user would type it here."""
    here = Path.cwd()
    path = Path(file)
    return str(path.relative_to(here)) if path.is_relative_to(here) else file


def watched_node(settings: WatchSettings) -> WatchedNode | None:
    """Return what hears of Node.js programs; ``None`` if that is not asked for.

    Raises:
        ConfigError: if they cannot report here.
    """
    if not settings.node:
        return None
    try:
        reports = NodeReports(settings.interval)
    except Unmeasurable as error:
        msg = f"--node cannot work here: {error}"
        raise ConfigError(msg) from error
    memory = NodeMemory(reports, settings.interval)
    folder = Path(settings.output or DEFAULT_FOLDER) if settings.heap_snapshots else None
    return WatchedNode(memory, folder)
