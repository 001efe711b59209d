"""Runs a watch to its end: samples, thresholds, diagnoses, kills and restarts."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from pytest_memguard.cli.command_limit import SAMPLED_SECONDS
from pytest_memguard.cli.end_signals import EndSignals
from pytest_memguard.cli.watch_screen import Screen
from pytest_memguard.cli.watch_settings import DEFAULT_FOLDER, WatchSettings
from pytest_memguard.cli.watched_command import (
    EndWaiter,
    WatchedCommand,
    end_tree,
    ending_text,
)
from pytest_memguard.cli.watched_node import WatchedNode
from pytest_memguard.judge.watch_thresholds import Threshold, ThresholdStates
from pytest_memguard.probes.oom_kills import read_oom_counter
from pytest_memguard.recording.diagnostic_folder import write_diagnosis
from pytest_memguard.recording.pace import Pace
from pytest_memguard.recording.watcher import Watcher
from pytest_memguard.report.watch_tables import event_text
from pytest_memguard.sizes import format_size
from pytest_memguard.watch_levels import Levels
from pytest_memguard.watches import WatchEvent, WatchRecord

SUCCESSOR_SECONDS: Final = 2.0
"""So long a process that has ended is waited for to be restarted."""


class WatchSession:
    """One watch from the command line.

    Args:
        pid: number of the process.
        settings: what the user has set.
        target: what is watched, as the user named it.
        command: the command, if the process is one that was started here.
        screen: shows the watch; ``None`` for nothing.
        now: the clock.
        node: hears of Node.js programs; ``None`` if they are not asked.

    Attributes:
        critical: whether a critical threshold was reached.
        failed: whether the command failed or died.
        notes: what happened, for the report.

    Raises:
        Unmeasurable: if the process is not there, or must not be watched.
    """

    def __init__(
        self,
        pid: int,
        settings: WatchSettings,
        target: str,
        command: WatchedCommand | None = None,
        screen: Screen | None = None,
        now: Callable[[], float] = time.monotonic,
        node: WatchedNode | None = None,
    ) -> None:
        self._settings = settings
        self._command = command
        self._screen = screen
        self._limit = None if command is None else command.limit
        interval = settings.interval
        if self._limit is not None and self._limit.is_sampled:
            interval = min(interval, SAMPLED_SECONDS)
        self._watcher = Watcher(
            pid,
            target=target,
            interval=interval,
            children=settings.children,
            warm_up=settings.warm_up,
            now=now,
            may_have_ended=command is not None,
            node=None if node is None else node.memory,
        )
        self._node = node
        self._pace = Pace(interval, now)
        self._thresholds = ThresholdStates(settings.thresholds)
        self._restarts = 0
        self._shown = 0
        self._signals = EndSignals()
        self._was_killed = False
        self._kills = read_oom_counter().kills
        self.critical = self.failed = False
        self.notes: list[str] = [] if self._limit is None else [self._limit.text()]

    def run(self) -> WatchRecord:
        """Watch until the program, the duration or the user ends it; return the record."""
        try:
            return self._run()
        finally:
            if self._node is not None:
                self._node.close()
            if self._limit is not None:
                self._limit.close()

    def _run(self) -> WatchRecord:
        try:
            with self._signals.noticed():
                while self._goes_on():
                    self._step()
        finally:
            if self._screen is not None:
                self._screen.close()
        snapshots = self._take_snapshots()
        record = replace(self._watcher.record(), snapshots=snapshots)
        self._watcher.close()
        if self._node is not None:
            self.notes += self._node.note(record.growth)
        if self._command is not None and self._command.status() is None:
            end_tree(self._watcher.pid, self._command)
        return record

    def _goes_on(self) -> bool:
        if self._signals.number:
            self.notes.append(f"ended by {signal.Signals(self._signals.number).name}")
            return False
        if self._settings.duration and self._watcher.elapsed >= self._settings.duration:
            return False
        return self._watcher.is_alive or self._is_followed()

    def _step(self) -> None:
        self._wait(self._pace.wait_seconds())
        if self._pace.wait_seconds() == 0:
            self._pace.step()
        if not self._watcher.sample():
            self._say_events()
            return
        self._judge(self._watcher.latest)
        self._enforce_limit()
        if self._screen is not None:
            self._screen.show(self._watcher)
        self._say_events()
        if self._node is not None:
            self._node.ask_for_first(self._watcher)

    def _wait(self, seconds: float) -> None:
        if self._settings.duration:
            left = self._settings.duration - self._watcher.elapsed
            seconds = max(0.0, min(seconds, left))
        waiter = EndWaiter(self._watcher.pid)
        try:
            self._signals.end_waits = True
            end = time.monotonic() + seconds
            while waiter.wait(max(0.0, end - time.monotonic()), self._others):
                self._watcher.take_marks()
        except InterruptedError:
            pass
        finally:
            self._signals.end_waits = False
            waiter.close()

    # Thresholds

    def _judge(self, levels: Levels) -> None:
        watcher = self._watcher
        reached = self._thresholds.reached(watcher.elapsed, levels, self._exactly)
        for threshold, value in reached:
            watcher.note_threshold(
                WatchEvent(
                    seconds=watcher.elapsed,
                    kind="threshold",
                    pid=watcher.pid,
                    severity=threshold.severity,
                    threshold=threshold.text,
                    value=value,
                )
            )
        critical = [one for one, _ in reached if one.severity == "critical"]
        if critical:
            self._act(critical[0])

    def _exactly(self) -> Levels:
        self._watcher.sample(exactly=True)
        return self._watcher.latest

    def _act(self, threshold: Threshold) -> None:
        self.critical = True
        self._say_events()
        self._diagnose(f"critical: {threshold.text} was reached")
        if self._settings.kill:
            pid = self._watcher.pid
            self._end(f"process {pid} was ended, because {threshold.text} was reached")

    # The limit

    def _enforce_limit(self) -> None:
        """End a command that uses too much, where the kernel does not."""
        limit, used = self._limit, self._watcher.latest.rss or 0
        if limit is None or not limit.is_sampled or used <= limit.size:
            self._note_kills()
            return
        used = self._exactly().rss or 0
        if used > limit.size:
            amounts = f"{format_size(used)}, and the limit is {format_size(limit.size)}"
            self.failed = True
            self._diagnose(f"the limit was exceeded: {amounts}")
            self._end(f"the command was ended: its processes used {amounts}")

    def _note_kills(self) -> None:
        """Say how many processes the kernel has ended because of the limit."""
        kills = self._limit.new_kills() if self._limit is not None else 0
        if self._limit is not None and kills:
            self.failed = True
            size = format_size(self._limit.size)
            processes = "a process" if kills == 1 else f"{kills} processes"
            self._say(f"the kernel has ended {processes} of the command at the limit of {size}")

    def _end(self, sentence: str) -> None:
        """End the program, and say so."""
        self._take_snapshots()
        end_tree(self._watcher.pid, self._command)
        self._say(sentence)
        self._was_killed = True
        self._watcher.sample()
        self._say_events()

    # The end of the program, and its restarts

    def _is_followed(self) -> bool:
        """Return whether another process has taken the place of the one that has ended."""
        if self._command is None:
            return self._has_successor()
        status = self._command.wait()
        self._note_kills()
        if self._was_killed:
            self._was_killed = False
            return self._start_again()
        self._say(f"the command {ending_text(status)}{self._killed_by_kernel(status)}")
        if status == 0:
            return False
        self.failed = True
        self._diagnose(f"the command {ending_text(status)}")
        return self._start_again()

    def _has_successor(self) -> bool:
        end = time.monotonic() + SUCCESSOR_SECONDS
        while time.monotonic() < end and not self._signals.number:
            time.sleep(min(0.05, self._settings.interval))
            if self._watcher.sample():
                self._thresholds.forget()
                self._say_events()
                return True
        return False

    def _start_again(self) -> bool:
        if self._command is None or self._restarts >= self._settings.restart:
            return False
        self._restarts += 1
        self._say(f"restart {self._restarts} of {self._settings.restart}")
        pid = self._command.start()
        self._thresholds.forget()
        self._watcher.take_over(pid)
        self._say_events()
        return True

    def _killed_by_kernel(self, status: int) -> str:
        """Return that the kernel killed it for lack of memory, if its counter rose."""
        before, self._kills = self._kills, read_oom_counter().kills
        killed = status == -int(getattr(signal, "SIGKILL", 9))
        if killed and before is not None and (self._kills or 0) > before:
            return "; the kernel has killed a process for lack of memory"
        return ""

    def _diagnose(self, reason: str) -> None:
        parent = Path(self._settings.output or DEFAULT_FOLDER)
        try:
            folder = write_diagnosis(parent, self._watcher.pid, reason, self._watcher.record())
        except OSError as error:
            self._say(f"no diagnosis could be written to {parent}: {error.strerror or error}")
        else:
            self._say(f"diagnosis: {folder}")

    @property
    def _others(self) -> list[int]:
        return [] if self._node is None else [self._node.memory.reports.descriptor]

    def _take_snapshots(self) -> tuple[str, ...]:
        """Take the last marks in, and return the heap snapshots of what grew."""
        if self._node is None:
            return ()
        self._watcher.take_marks()
        return self._node.ask_for_last(self._watcher)

    # Messages

    def _say(self, line: str) -> None:
        self.notes.append(line)
        if self._screen is not None:
            self._screen.say(line)

    def _say_events(self) -> None:
        events = list(self._watcher.events)
        for event in events[self._shown :]:
            if self._screen is not None:
                self._screen.say(event_text(event))
        self._shown = len(events)
