"""Reports what has reached a level of ``mem_alert``, at once and at the end."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from typing import Any, Final

import pytest

from pytest_memguard.codecs.alert_codecs import ALERT_CODEC
from pytest_memguard.model.alerts import (
    RUN_RSS,
    Alert,
    AlertLevel,
    AlertSignal,
    alert_amount,
)
from pytest_memguard.options.settings import Settings
from pytest_memguard.plugin.ci import start_reporting_on_github
from pytest_memguard.plugin.keys import ALERTS
from pytest_memguard.plugin.lost.process_alerts import ATTRIBUTE, ProcessAlerts, readers_of
from pytest_memguard.plugin.pytest_internals.plugins import begin_line
from pytest_memguard.report.alerts import alert_lines, alert_sentence

_COLOURS: Final = {"info": {}, "warning": {"yellow": True}, "critical": {"red": True}}


def begin_alerts(config: pytest.Config, settings: Settings) -> None:
    """Have levels of memory reported.

    Args:
        config: the configuration of pytest.
        settings: the settings of the run.
    """
    worker_input: dict[str, Any] | None = getattr(config, "workerinput", None)
    levels: dict[AlertSignal, list[AlertLevel]] = {}
    for level in settings.alert:
        levels.setdefault(level.signal, []).append(level)
    of_run = levels.pop(RUN_RSS, [])
    readers, problems = readers_of(set(levels))
    if readers:
        worker = "" if worker_input is None else str(worker_input["workerid"])
        alerts = ProcessAlerts(config, levels, readers, worker)
        config.pluginmanager.register(alerts, "memguard-process-alerts")
    if worker_input is None:
        report = AlertReport(config, settings, problems)
        config.pluginmanager.register(report, "memguard-alerts")
        if of_run:
            from pytest_memguard.plugin.lost.run_alerts import RunAlerts

            of_all = RunAlerts(config, of_run, report.show, report.miss)
            config.pluginmanager.register(of_all, "memguard-run-alerts")


class AlertReport:
    """Prints alerts in the process that reports.

    Args:
        config: the configuration of pytest.
        settings: the settings of the run.
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
        text = report.__dict__.pop(ATTRIBUTE, None)
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
