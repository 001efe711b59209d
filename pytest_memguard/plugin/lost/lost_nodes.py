"""Works out what happened to workers of pytest-xdist that were lost, and reports it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from pytest_memguard.escapes import one_line
from pytest_memguard.judge.lost_worker import lost_worker
from pytest_memguard.judge.raised_levels import course_of
from pytest_memguard.model.flights import Ending, Flight, LostWorker, Neighbour
from pytest_memguard.plugin.ci import start_reporting_on_github
from pytest_memguard.plugin.keys import LOST
from pytest_memguard.plugin.options import FLIGHTS
from pytest_memguard.plugin.pytest_internals.xdist_workers import process_of
from pytest_memguard.probes.ended_process import PATIENCE, ending_from_status, ending_of
from pytest_memguard.probes.oom_kills import read_oom_counter
from pytest_memguard.recording.lost_flights import is_alive, without_record
from pytest_memguard.report.post_mortem import headline, post_mortem, short
from pytest_memguard.storage.flight_folders import prune, prune_abandoned
from pytest_memguard.storage.flight_records import read_flight
from pytest_memguard.storage.run_folder import RunFolder

_DOWN: Final = "Not properly terminated"
"""What xdist calls the end of a worker whose connection has broken."""
_SHOWN_WHOLE: Final = 5
"""Number of lost workers of which everything is printed."""
_SHOWN: Final = 20
"""Number of those that are printed at all."""
_ELSEWHERE: Final = "its flight record: the worker was not started on this machine"


class LostNodes:
    """The workers that were lost so far.

    Args:
        config: pytest's, of the process that starts the workers.
        folder: that of the records, and ...
        reason: ... why there is none.
        oom_kills: the counter of out-of-memory kills when the run began; ``None`` if there is
            none.
    """

    def __init__(
        self,
        config: pytest.Config,
        folder: RunFolder | None,
        reason: str,
        oom_kills: int | None,
    ) -> None:
        self._config = config
        self._folder, self._reason = folder, reason
        self._oom_kills = oom_kills
        self._lost: list[LostWorker] = config.stash.setdefault(LOST, [])
        self._printed = 0

    def add(self, node: Any, error: object, others: Iterable[str]) -> None:
        """Find out what happened to a worker.

        Args:
            node: xdist's controller of the worker.
            error: what xdist says about its end.
            others: names of the workers that are left.
        """
        try:
            ending = _ending(node, patience=PATIENCE if error == _DOWN else 0)
            if ending.running and error != _DOWN:
                return  # it has raised an error, and xdist says so
            lost = self._post_mortem(node, ending, others)
        except Exception as problem:  # noqa: BLE001  the run must not end with this
            text = f"memguard failed to find out ({type(problem).__name__}: {problem})"
            lost = without_record(node.gateway.id, Ending(), text)
        self._lost.append(lost)
        self.keep()
        start_reporting_on_github(self._config)

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        """Add what is known to the report of the test that xdist names."""
        node: Any = getattr(report, "node", None)
        worker = node.gateway.id
        for at, lost in enumerate(self._lost):
            if lost.worker == worker:
                self._lost[at] = replace(lost, named=crashitem)
                known = "\n".join(f"memguard: {line}" for line in short(self._lost[at]))
                report.longrepr = f"{report.longrepr}\n{known}"
                self.keep()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print everything that is known about lost workers."""
        lines = list(self._lines())
        self._printed = len(self._lost)
        if lines:
            terminalreporter.write_sep("=", "lost workers")
        for line in lines:
            terminalreporter.write_line(line)

    def close(self) -> bool:
        """Keep what is known about lost workers, after the report.

        Returns:
            Whether there are any.
        """
        if self._printed < len(self._lost):  # pytest has printed no summary
            terminal = self._config.pluginmanager.get_plugin("terminalreporter")
            if terminal is not None:
                self.pytest_terminal_summary(terminal)
        if self._folder is not None and self._lost:
            self._folder.forget(self._lost)
            parent = self._folder.path.parent
            prune(parent)
            if parent.name != FLIGHTS:  # among temporary files
                prune_abandoned(parent, is_alive)
        return bool(self._lost)

    def keep(self) -> None:
        """Write what is known about lost workers, in case that this process is killed, too."""
        if self._folder is not None:
            with contextlib.suppress(OSError):
                self._folder.keep(self._lost)

    def _lines(self) -> Iterator[str]:
        seen: set[object] = set()
        for lost in self._lost[:_SHOWN]:
            # a test that xdist runs again after each loss is explained once
            kind = (lost.cause, lost.running, lost.named, lost.ending.exit_code)
            if kind not in seen and len(seen) < _SHOWN_WHOLE:
                yield from post_mortem(lost)
            else:
                yield one_line(headline(lost))
            seen.add(kind)
        if len(self._lost) > _SHOWN:
            yield f"... and {len(self._lost) - _SHOWN} more lost workers"

    def _post_mortem(self, node: Any, ending: Ending, others: Iterable[str]) -> LostWorker:
        worker = node.gateway.id
        now = time.time()
        neighbours = tuple(self._neighbours(others))
        ending = self._counted(ending)
        if not node.gateway.spec.popen:
            return without_record(worker, ending, _ELSEWHERE)
        if self._folder is None:
            return without_record(worker, ending, f"its flight record: {self._reason}")
        path = self._folder.record(worker)
        flight = read_flight(path)
        if not flight.pid:
            problem = flight.problems[0]
            if not path.exists():
                problem = f"its flight record: the worker wrote none to {path}"
            return replace(without_record(worker, ending, problem), record=_if_there(path))
        if ending.highest is None and not ending.running:
            text = "how large it was at its end: not known on this system"
            flight = replace(flight, problems=(*flight.problems, text))
        return lost_worker(flight, ending, neighbours=neighbours, now=now)

    def _counted(self, ending: Ending) -> Ending:
        """Return an end with what the out-of-memory counter says; it counts for one worker."""
        counter = read_oom_counter()
        if counter.kills is None or self._oom_kills is None:
            return replace(ending, oom_source=counter.source)
        kills = counter.kills - self._oom_kills
        if kills and ending.signal == 9:
            self._oom_kills += 1
        return replace(ending, oom_kills=kills, oom_source=counter.source)

    def _neighbours(self, others: Iterable[str]) -> Iterator[Neighbour]:
        """Yield how large the other workers are now, and what they run."""
        if self._folder is None:
            return
        import psutil

        for worker in others:
            flight = read_flight(self._folder.record(worker))
            if not flight.pid:
                continue
            try:
                level = int(psutil.Process(flight.pid).memory_info().rss)
            except psutil.Error:
                continue
            yield _neighbour(flight, level)


def _neighbour(flight: Flight, level: int) -> Neighbour:
    course = course_of(flight)
    rise = max(0, level - course.level) if course.running else 0
    return Neighbour(worker=flight.worker, level=level, running=course.running, rise=rise)


def _ending(node: Any, patience: float) -> Ending:
    """Return how the process of a worker ended.

    Args:
        node: xdist's controller of the worker.
        patience: seconds to wait for its end.
    """
    process = process_of(node)
    if process is None:
        return Ending()
    status = getattr(process, "returncode", None)
    if status is not None:  # something has waited for it
        return ending_from_status(status)
    ending = ending_of(process.pid, patience)
    if ending is not None or hasattr(os, "waitid"):
        return ending or Ending()
    with contextlib.suppress(Exception):  # it does not end
        process.wait(timeout=patience)
    return ending_from_status(process.poll())


def _if_there(path: Path) -> str:
    return str(path) if path.exists() else ""
