"""Reports when a whole run reaches a level of ``mem_alert``."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

import pytest

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.judge.abort import abort_of
from pytest_memguard.judge.alert import level_reached, levels_left
from pytest_memguard.model.aborts import Breach
from pytest_memguard.model.alerts import RUN_RSS, Alert, AlertLevel, AlertSignal
from pytest_memguard.model.flights import Flight
from pytest_memguard.plugin.lost.abort_watch import flights_of
from pytest_memguard.plugin.pytest_internals.xdist_workers import names_by_pid
from pytest_memguard.probes.run_watch import RunWatch

_WATCHER: Final = "pytest_memguard.probes.run_alert_watcher"
_ENDED: Final = "the process that watched it has ended, or a test has closed the pipes to it"
_ELSEWHERE: Final = "workers on other machines do not count"


class RunAlerts:
    """Has the memory of a run watched from the process that reports.

    Args:
        config: the configuration of pytest.
        levels: the lowest first.
        show: takes a new alert.
        miss: takes a signal that is not read, or not any more, and why.
    """

    def __init__(
        self,
        config: pytest.Config,
        levels: Sequence[AlertLevel],
        show: Callable[[Alert], object],
        miss: Callable[[AlertSignal, str], object],
    ) -> None:
        self._config = config
        self._levels = tuple(levels)
        self._show = show
        self._miss = miss
        self._watch: RunWatch | None = None
        self._workers: list[Any] = []
        self._spans: dict[str, _Span] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Start the process that watches."""
        try:
            self._watch = RunWatch(_WATCHER, [level.size for level in self._levels])
        except Unmeasurable as error:
            self._miss(RUN_RSS, str(error))

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Remember a worker of pytest-xdist."""
        if node.gateway.spec.popen:
            self._workers.append(node)
        else:
            self._miss(RUN_RSS, _ELSEWHERE)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Print what was reached by now."""
        node: Any = getattr(report, "node", None)
        if node is not None:
            span = self._spans.get(node.gateway.id)
            begun = span.start if span and span.nodeid == report.nodeid else report.start
            self._spans[node.gateway.id] = _Span(report.nodeid, begun, report.stop)
        self._read(report.nodeid, str(report.when))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """Print what was reached behind the last report."""
        try:
            return (yield)
        finally:
            self._read("", "")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """End the process that watches."""
        watch, self._watch = self._watch, None
        if watch is not None and not watch.close() and self._levels:
            self._miss(RUN_RSS, _ENDED)

    def _read(self, nodeid: str, phase: str) -> None:
        """Print the levels that were reached since the last report.

        Args:
            nodeid: the test that has just been reported; empty for none.
            phase: its phase.
        """
        for breach in self._watch.news() if self._watch is not None else ():
            level = level_reached(self._levels, breach.used)
            if level is None:
                continue
            self._levels = levels_left(self._levels, breach.used)
            worker = ""
            if self._workers:
                nodeid, worker, phase = self._most_of(breach)
            alert = Alert(
                signal=RUN_RSS,
                severity=level.severity,
                limit=level.size,
                highest=breach.used,
                worker=worker,
                nodeid=nodeid,
                phase=phase,
            )
            self._show(alert)

    def _most_of(self, breach: Breach) -> tuple[str, str, str]:
        """Return the test that had most, and its worker, as far as that is known.

        The flight record of a worker that has run all its tests is gone; its last report shows
        which test that was.
        """
        workers = names_by_pid(self._workers)
        flights = [_until(breach.time, flight) for flight in flights_of(self._config)]
        parts = abort_of(breach, flights, workers, reason="", time=0.0).parts
        if parts and parts[0].nodeid:
            return parts[0].nodeid, parts[0].worker, ""
        largest = max(breach.processes, key=lambda one: one.size, default=None)
        worker = "" if largest is None else workers.get(largest.pid, "")
        span = self._spans.get(worker)
        if span is None or not span.start <= breach.time <= span.stop:
            return "", worker, ""
        return span.nodeid, worker, ""


class _Span(NamedTuple):
    """The last test of a worker of which there is a report."""

    nodeid: str
    start: float
    stop: float


def _until(time: float, flight: Flight) -> Flight:
    """Return a flight record as it was at a moment."""
    return replace(flight, lines=tuple(line for line in flight.lines if line.time <= time))
