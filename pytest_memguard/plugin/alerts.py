"""Reports processes that have reached a level of ``mem_alert``, at once and at the end."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from typing import Any, Final

import pytest

from pytest_memguard.alert_wire import alert_from_json, alert_to_json
from pytest_memguard.alerts import Alert, AlertLevel
from pytest_memguard.errors import Unmeasurable
from pytest_memguard.judge.alert import level_reached, levels_left
from pytest_memguard.plugin.ci import start_reporting_on_github
from pytest_memguard.plugin.keys import ALERTS
from pytest_memguard.plugin.pytest_internals.plugins import begin_line
from pytest_memguard.probes.process_highest import ProcessHighest
from pytest_memguard.report.alerts import alert_lines, alert_sentence
from pytest_memguard.settings import Settings
from pytest_memguard.sizes import format_size

_ATTRIBUTE: Final = "memguard_alerts"
"""Name under which alerts travel with the report of a test."""
_COLOURS: Final = {"info": {}, "warning": {"yellow": True}, "critical": {"red": True}}


def begin_alerts(config: pytest.Config, settings: Settings) -> None:
    """Have levels of memory reported.

    Args:
        config: pytest's.
        settings: the run's.
    """
    worker_input: dict[str, Any] | None = getattr(config, "workerinput", None)
    reader: ProcessHighest | None = None
    problem = ""
    try:
        reader = ProcessHighest()
    except Unmeasurable as error:
        problem = str(error)
    if reader is not None:
        worker = "" if worker_input is None else str(worker_input["workerid"])
        alerts = ProcessAlerts(config, settings.alert, reader, worker)
        config.pluginmanager.register(alerts, "memguard-process-alerts")
    if worker_input is None:
        report = AlertReport(config, settings, problem)
        config.pluginmanager.register(report, "memguard-alerts")


class ProcessAlerts:
    """Reads in the process that runs tests which levels it has reached.

    Args:
        config: pytest's.
        levels: the lowest first.
        reader: reads the highest resident memory.
        worker: name of the pytest-xdist worker; empty without one.
    """

    def __init__(
        self,
        config: pytest.Config,
        levels: Sequence[AlertLevel],
        reader: ProcessHighest,
        worker: str,
    ) -> None:
        self._config = config
        self._levels = tuple(levels)
        self._reader = reader
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
        highest = self._reader.reached(self._levels[0].size) if self._levels else 0
        level = level_reached(self._levels, highest)
        if level is not None:
            self._levels = levels_left(self._levels, highest)
            alert = Alert(
                severity=level.severity,
                limit=level.size,
                highest=highest,
                worker=self._worker,
                nodeid=nodeid,
                phase=phase,
            )
            self._waiting.append(alert)


def _attach(report: pytest.TestReport, alerts: Sequence[Alert]) -> None:
    report.__dict__[_ATTRIBUTE] = json.dumps([alert_to_json(one) for one in alerts])


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
        problem: why there are none.
    """

    def __init__(self, config: pytest.Config, settings: Settings, problem: str) -> None:
        self._config = config
        self._alerts: list[Alert] = config.stash.setdefault(ALERTS, [])
        where = settings.where("alert")
        levels = (f"{format_size(one.size)} ({one.severity})" for one in settings.alert)
        self._line = f"memguard: alerts when worker rss reaches {', '.join(levels)}, by {where}"
        if problem:
            self._line = f"memguard: not measured here: {where}: {problem}"

    def pytest_report_header(self) -> str:
        """Say which levels are reported."""
        return self._line

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Print alerts that come with a report."""
        text = report.__dict__.pop(_ATTRIBUTE, None)
        for entry in json.loads(text) if text is not None else ():
            alert = alert_from_json(entry)
            self._alerts.append(alert)
            terminal: Any = self._config.pluginmanager.get_plugin("terminalreporter")
            if terminal is not None:
                begin_line(terminal)
                sentence = f"memguard: {alert_sentence(alert)}"
                terminal.write_line(sentence, **_COLOURS[alert.severity])

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
        if self._alerts:
            terminalreporter.write_sep("=", "memory alerts")
        for line in alert_lines(self._alerts):
            terminalreporter.write_line(line)
