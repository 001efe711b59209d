"""Reads in a process that runs tests which levels of ``mem_alert`` it has reached."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Final

import pytest

from pytest_memguard.codecs.alert_codecs import ALERT_CODEC
from pytest_memguard.errors import Unmeasurable
from pytest_memguard.judge.alert import level_reached, levels_left
from pytest_memguard.model.alerts import WORKER_RSS, Alert, AlertLevel, AlertSignal
from pytest_memguard.probes.process_highest import ProcessHighest
from pytest_memguard.probes.process_levels import ProcessLevels

ATTRIBUTE: Final = "memguard_alerts"
"""Name under which alerts travel with the report of a test."""
Highest = Callable[[int], int]
"""Returns the highest reading so far; 0 if it is below a level."""


def readers_of(
    signals: set[AlertSignal],
) -> tuple[dict[AlertSignal, Highest], dict[AlertSignal, str]]:
    """Return what reads signals of this process, and why some cannot be read.

    Args:
        signals: those for which there are levels.
    """
    readers: dict[AlertSignal, Highest] = {}
    problems: dict[AlertSignal, str] = {}
    if WORKER_RSS in signals:
        try:
            readers[WORKER_RSS] = ProcessHighest().reached
        except Unmeasurable as error:
            problems[WORKER_RSS] = str(error)
    if signals - {WORKER_RSS}:
        others = ProcessLevels(signals)
        problems |= others.problems
        readers |= {signal: _reading(read) for signal, read in others.readers.items()}
    return readers, problems


def _reading(read: Callable[[], int]) -> Highest:
    return lambda _: read()


class ProcessAlerts:
    """Reads in the process that runs tests which levels it has reached.

    Args:
        config: the configuration of pytest.
        levels: of each signal, the lowest first.
        readers: of those signals that can be read.
        worker: name of the pytest-xdist worker; empty without one.
    """

    def __init__(
        self,
        config: pytest.Config,
        levels: Mapping[AlertSignal, Sequence[AlertLevel]],
        readers: Mapping[AlertSignal, Highest],
        worker: str,
    ) -> None:
        self._config = config
        self._levels = {signal: tuple(levels[signal]) for signal in readers}
        self._readers = dict(readers)
        self._worker = worker
        self._waiting: list[Alert] = []
        self._sent: list[Alert] = []
        self._phases: PhaseAlerts | None = None

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """Read once before the first test, and then after each phase."""
        if not self._config.pluginmanager.hasplugin("dsession"):
            self.read("", "")
            self._phases = PhaseAlerts(self.read)
            self._config.pluginmanager.register(self._phases)
        return (yield)

    def pytest_plugin_registered(self, plugin: object) -> None:
        """Stay inside of what resets the mark: what is registered last is the innermost."""
        phases, manager = self._phases, self._config.pluginmanager
        if phases is not None and plugin is not phases and manager.unregister(phases):
            manager.register(phases)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self,
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Send alerts with the report of the phase; an isolated test is logged elsewhere."""
        report = yield
        if self._waiting:
            _attach(report, self._waiting)
            self._sent += self._waiting
            self._waiting = []
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Send what went with earlier reports, too: those of repeated calls are not logged."""
        if self._sent:
            _attach(report, self._sent)
            self._sent = []

    def read(self, nodeid: str, phase: str) -> None:
        """Read which levels have been reached.

        Args:
            nodeid: the test that runs; empty for none.
            phase: its phase.
        """
        for signal, read in self._readers.items():
            levels = self._levels[signal]
            highest = read(levels[0].size) if levels else 0
            level = level_reached(levels, highest)
            if level is not None:
                self._levels[signal] = levels_left(levels, highest)
                alert = Alert(
                    signal=signal,
                    severity=level.severity,
                    limit=level.size,
                    highest=highest,
                    worker=self._worker,
                    nodeid=nodeid,
                    phase=phase,
                )
                self._waiting.append(alert)


def _attach(report: pytest.TestReport, alerts: Sequence[Alert]) -> None:
    report.__dict__[ATTRIBUTE] = json.dumps([ALERT_CODEC.write(one) for one in alerts])


class PhaseAlerts:
    """Reads after each phase of a test.

    Args:
        read: takes the test and the phase.
    """

    def __init__(self, read: Callable[[str, str], None]) -> None:
        self._read = read

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, None, None]:
        """Read after the setup."""
        return (yield from self._phase(item, "setup"))

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        """Read after the call."""
        return (yield from self._phase(item, "call"))

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, None, None]:
        """Read after the teardown."""
        return (yield from self._phase(item, "teardown"))

    def _phase(self, item: pytest.Item, phase: str) -> Generator[None, None, None]:
        try:
            yield
        finally:
            self._read(item.nodeid, phase)
