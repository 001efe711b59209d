"""Reports what has reached a level of ``mem_alert``, at once and at the end."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Final

import pytest

from pytest_memguard.alerts import (
    RUN_RSS,
    WORKER_RSS,
    Alert,
    AlertLevel,
    AlertSignal,
    alert_amount,
)
from pytest_memguard.codecs.alert_codecs import ALERT_CODEC
from pytest_memguard.errors import Unmeasurable
from pytest_memguard.judge.alert import level_reached, levels_left
from pytest_memguard.plugin.ci import start_reporting_on_github
from pytest_memguard.plugin.keys import ALERTS
from pytest_memguard.plugin.pytest_internals.plugins import begin_line
from pytest_memguard.probes.process_highest import ProcessHighest
from pytest_memguard.probes.process_levels import ProcessLevels
from pytest_memguard.report.alerts import alert_lines, alert_sentence
from pytest_memguard.settings import Settings

_ATTRIBUTE: Final = "memguard_alerts"
"""Name under which alerts travel with the report of a test."""
_COLOURS: Final = {"info": {}, "warning": {"yellow": True}, "critical": {"red": True}}
Highest = Callable[[int], int]
"""Returns the highest reading so far; 0 if it is below a level."""


def begin_alerts(config: pytest.Config, settings: Settings) -> None:
    """Have levels of memory reported.

    Args:
        config: pytest's.
        settings: the run's.
    """
    worker_input: dict[str, Any] | None = getattr(config, "workerinput", None)
    levels: dict[AlertSignal, list[AlertLevel]] = {}
    for level in settings.alert:
        levels.setdefault(level.signal, []).append(level)
    of_run = levels.pop(RUN_RSS, [])
    readers, problems = _readers(set(levels))
    if readers:
        worker = "" if worker_input is None else str(worker_input["workerid"])
        alerts = ProcessAlerts(config, levels, readers, worker)
        config.pluginmanager.register(alerts, "memguard-process-alerts")
    if worker_input is None:
        report = AlertReport(config, settings, problems)
        config.pluginmanager.register(report, "memguard-alerts")
        if of_run:
            from pytest_memguard.plugin.run_alerts import RunAlerts

            of_all = RunAlerts(config, of_run, report.show, report.miss)
            config.pluginmanager.register(of_all, "memguard-run-alerts")


def _readers(
    signals: set[AlertSignal],
) -> tuple[dict[AlertSignal, Highest], dict[AlertSignal, str]]:
    """What reads signals of this process, and why some cannot be read.

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
        config: pytest's.
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
    report.__dict__[_ATTRIBUTE] = json.dumps([ALERT_CODEC.write(one) for one in alerts])


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


class AlertReport:
    """Prints alerts in the process that reports.

    Args:
        config: pytest's.
        settings: the run's.
        problems: why some signals cannot be read.
    """

    def __init__(
        self, config: pytest.Config, settings: Settings, problems: Mapping[AlertSignal, str]
    ) -> None:
        self._config = config
        self._alerts: list[Alert] = config.stash.setdefault(ALERTS, [])
        self._where = settings.where("alert")
        levels: dict[AlertSignal, list[str]] = {}
        for one in settings.alert:
            text = f"{alert_amount(one.signal, one.size)} ({one.severity})"
            levels.setdefault(one.signal, []).append(text)
        self._lines = [
            f"memguard: alerts when {signal} reaches {', '.join(texts)}, by {self._where}"
            for signal, texts in levels.items()
            if signal not in problems
        ]
        self._gaps: list[str] = []
        for signal, problem in problems.items():
            self.miss(signal, problem)

    def miss(self, signal: AlertSignal, reason: str) -> None:
        """Say that a signal is not read, or not any more.

        Args:
            signal: which.
            reason: why.
        """
        self._gaps.append(f"memguard: not measured here: {signal} ({self._where}): {reason}")

    def pytest_report_header(self) -> list[str]:
        """Say which levels are reported."""
        gaps, self._gaps = self._gaps, []
        return [*self._lines, *gaps]

    def show(self, alert: Alert) -> None:
        """Print an alert now, and keep it for the end.

        Args:
            alert: a new one.
        """
        self._alerts.append(alert)
        terminal: Any = self._config.pluginmanager.get_plugin("terminalreporter")
        if terminal is not None:
            begin_line(terminal)
            sentence = f"memguard: {alert_sentence(alert)}"
            terminal.write_line(sentence, **_COLOURS[alert.severity])

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Print alerts that come with a report."""
        text = report.__dict__.pop(_ATTRIBUTE, None)
        for entry in json.loads(text) if text is not None else ():
            self.show(ALERT_CODEC.read(entry))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """See to annotations when the tests have ended."""
        try:
            return (yield)
        finally:
            if self._alerts:
                start_reporting_on_github(self._config)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print them once more at the end, the worst first."""
        if self._alerts or self._gaps:
            terminalreporter.write_sep("=", "memory alerts")
        for line in [*alert_lines(self._alerts), *self._gaps]:
            terminalreporter.write_line(line)
