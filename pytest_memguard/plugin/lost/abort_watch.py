"""Has the memory of the whole run watched, stops it in time, and reports which tests had it."""

from __future__ import annotations

import atexit
import contextlib
import os
import time
from collections.abc import Iterator
from typing import Any, Final

import pytest

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.judge.abort import abort_of
from pytest_memguard.model.aborts import Abort, Breach, reserve_of
from pytest_memguard.model.flights import Flight
from pytest_memguard.model.results import Gap
from pytest_memguard.options.parsing import AUTO
from pytest_memguard.options.settings import Settings
from pytest_memguard.plugin.ci import start_reporting_on_github
from pytest_memguard.plugin.keys import ABORT, FLIGHT_FOLDER
from pytest_memguard.plugin.lost.abort_stop import SIGNAL, AbortStop, can_be_signalled
from pytest_memguard.plugin.options import settings_of
from pytest_memguard.plugin.pytest_internals.xdist_workers import (
    names_by_pid,
    process_of,
    stop_distribution,
)
from pytest_memguard.probes.memory_limit import memory_limit, tightest_limit
from pytest_memguard.probes.run_watch import RunWatch
from pytest_memguard.report.abort import abort_lines
from pytest_memguard.sizes import format_size
from pytest_memguard.storage.flight_records import read_flight

_WATCHER: Final = "pytest_memguard.probes.run_watcher"
_NO_SIGNAL: Final = "this system has no signal that can stop a run"
_NO_THREAD: Final = "pytest does not run in the main thread, which alone gets signals"
_NO_LIMIT: Final = "no limit of a container or of the machine is known; give a SIZE"
_ENDED: Final = "the process that watched it has ended, or a test has closed the pipes to it"
_ELSEWHERE: Final = "workers on other machines do not count"


def begin(config: pytest.Config, settings: Settings) -> None:
    """Let the run be stopped when it uses too much.

    Args:
        config: the configuration of pytest.
        settings: the settings of the run.
    """
    where = settings.where("abort_at")
    size = settings.abort_at or 0
    if hasattr(config, "workerinput"):
        stop = AbortStop(config, _reason(size, where))
    else:
        stop = AbortWatch(config, size, where)
    config.pluginmanager.register(stop, "memguard-abort")


def _reason(size: int, where: str) -> str:
    """Return why the run is stopped, as far as every process of it knows."""
    if size == AUTO:
        return f"the run was stopped: too little memory was left ({where})"
    return f"the run was stopped: it used more than {format_size(size)} ({where})"


class AbortWatch(AbortStop):
    """Watches a run from the process that reports.

    Args:
        config: the configuration of pytest.
        size: bytes that the run may use; `AUTO`: as much as limits of the system allow.
        where: source of the setting.
    """

    def __init__(self, config: pytest.Config, size: int, where: str) -> None:
        super().__init__(config, _reason(size, where))
        self._size = size
        self._where = where
        self._lines: list[str] = []
        self._gaps: list[str] = []
        self._is_partial = False
        self._watch: RunWatch | None = None
        self._workers: list[Any] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Start the process that watches."""
        try:
            self._prepare()
            self._watch = RunWatch(_WATCHER, int(SIGNAL or 0), max(self._size, 0))
        except Unmeasurable as error:
            self._miss(str(error))

    def _prepare(self) -> None:
        if not can_be_signalled():
            raise Unmeasurable(_NO_SIGNAL if SIGNAL is None else _NO_THREAD)
        if self._size != AUTO:
            self._lines.append(
                f"memguard: the run is stopped above {format_size(self._size)} ({self._where})"
            )
            limit = memory_limit()
            if limit is not None and limit.size < self._size:
                self._lines.append(f"memguard: but there is less than that: {limit}")
            return
        limit = tightest_limit()
        if limit is None:
            raise Unmeasurable(_NO_LIMIT)
        reserve = reserve_of(limit.size)
        if limit.available <= reserve:
            left = f"only {format_size(limit.available)} of {limit} are left at the start"
            msg = f"{left}, and {format_size(reserve)} are left alone; give a SIZE"
            raise Unmeasurable(msg)
        what = f"when less than {format_size(reserve)} of {limit} are left"
        self._lines.append(
            f"memguard: the run is stopped {what}: {format_size(limit.available)} now "
            f"({self._where})"
        )

    def _miss(self, reason: str) -> None:
        """Say that the run is not stopped, and why."""
        self._gaps.append(f"memguard: not measured here: {self._where}: {reason}")
        collector: Any = self._config.pluginmanager.get_plugin("memguard-report")
        if collector is not None:
            collector.gaps.append(Gap(subject=self._where, reason=reason))

    def pytest_report_header(self) -> list[str]:
        """Say when the run is stopped."""
        gaps, self._gaps = self._gaps, []
        return [*self._lines, *gaps]

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Remember a worker of pytest-xdist."""
        self._workers.append(node)
        if not node.gateway.spec.popen and not self._is_partial:
            self._is_partial = True
            self._miss(_ELSEWHERE)

    def begin(self) -> bool:
        """Find out which tests have the memory, once."""
        if self.stopped:
            return True
        news = self._watch.news() if self._watch is not None else []
        if not news:
            return False
        self._config.stash[ABORT] = self._abort(news[-1])
        return True

    def stop(self) -> None:
        """Stop the test that runs, or all workers."""
        if not self._workers:
            super().stop()
        stop_distribution(self._config, self._reason)
        for node in self._workers:
            process = process_of(node)
            # not by its `poll`, which would take the cause of its end from other reports
            if process is not None and getattr(process, "returncode", None) is None:
                with contextlib.suppress(OSError):
                    os.kill(process.pid, int(SIGNAL or 0))

    def stops(self) -> None:
        """Let the process that watches know that the run stops, and see to annotations."""
        if self._watch is not None:
            self._watch.stops()
        # pytest leaves it behind; it distinguishes CI's own runs from runs within a test
        test = os.environ.pop("PYTEST_CURRENT_TEST", None)
        try:
            start_reporting_on_github(self._config)
        finally:
            if test is not None:
                os.environ["PYTEST_CURRENT_TEST"] = test

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """End the process that watches, unless threads may still go on after a stop."""
        if self._watch is not None and self.stopped:
            atexit.register(self._watch.close)
        elif self._watch is not None and not self._watch.close():
            self._miss(_ENDED)
        self._watch = None

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print which tests had the memory, or that it was not watched to the end."""
        abort = self._config.stash.get(ABORT, None)
        lines = self._gaps if abort is None else [*abort_lines(abort), *self._gaps]
        if lines:
            terminalreporter.write_sep("=", "memory of the run")
        for line in lines:
            terminalreporter.write_line(line)

    def _abort(self, breach: Breach) -> Abort:
        """Return which tests had the memory; the run must not end with what goes wrong here."""
        problems = []
        try:
            flights = list(flights_of(self._config))
        except Exception as error:  # noqa: BLE001  the report must come out
            flights, problems = [], [f"the tests ({type(error).__name__}: {error})"]
        if not flights and not problems:
            problems = [f"the tests: {_no_record(self._config)}"]
        return abort_of(
            breach,
            flights,
            names_by_pid(self._workers),
            reason=self._breach_reason(breach),
            time=time.time(),
            problems=problems,
        )

    def _breach_reason(self, breach: Breach) -> str:
        used = format_size(breach.used)
        if breach.available is None:
            allowed = f"{self._where} allows {format_size(self._size)}"
            return f"the run was stopped: it used {used}, and {allowed}"
        left = f"{format_size(breach.available)} of {breach.source} were left"
        return f"the run was stopped: {left}, and it used {used} ({self._where})"


def flights_of(config: pytest.Config) -> Iterator[Flight]:
    """Yield the flight records of a run as they are now."""
    folder = config.stash.get(FLIGHT_FOLDER, None)
    for path in sorted(folder.path.glob("*.flight")) if folder is not None else ():
        flight = read_flight(path)
        if flight.pid:
            yield flight


def _no_record(config: pytest.Config) -> str:
    off = settings_of(config).flight_record == "off"
    return "mem_flight_record is off" if off else "there is no flight record"
