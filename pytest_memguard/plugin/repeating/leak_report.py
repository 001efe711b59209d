"""The leak check's half of the report: the section ``leaks``, and the file of accepted ones."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_memguard.checks.leak.accepted import accepted_leaks
from pytest_memguard.errors import ConfigError
from pytest_memguard.escapes import one_line
from pytest_memguard.options.settings import Settings
from pytest_memguard.plugin.collector import Collector
from pytest_memguard.plugin.keys import INTERRUPTED, KNOWN

if TYPE_CHECKING:
    from pytest_memguard.storage.known_leaks import KnownLeaksFile


class LeakReport:
    """Reports leaks in the process that prints.

    Args:
        config: the configuration of pytest.
        collector: has every outcome.
        settings: the settings of the run.
    """

    def __init__(self, config: pytest.Config, collector: Collector, settings: Settings) -> None:
        self._config = config
        self._collector = collector
        self._settings = settings
        self._lines: list[str] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the leaks found to the file of accepted ones, if asked to."""
        if not self._settings.leak_accept:
            return
        from pytest_memguard.storage.known_leaks import write_known

        found = accepted_leaks(self._collector.detailed())
        file = known_leaks(self._config)
        known, path = file.leaks(), file.path
        new = {name: leak for name, leak in found.items() if name not in known}
        if not new:
            self._lines.append("no new leaks to accept")
            return
        try:
            write_known(path, {**known, **new}.values())
        except OSError as error:
            self._lines.append(f"{path} could not be written: {error.strerror}")
            if session.exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
        else:
            many = "1 leak" if len(new) == 1 else f"{len(new)} leaks"
            self._lines.append(f"{many} accepted: {path}")

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object) -> None:
        """Take how many tests of an xdist worker failed after a repetition had gone wrong."""
        from pytest_memguard.plugin.repeating.after_repetitions import FAILED_AFTER, KEY

        counts = getattr(node, "workeroutput", {}).get(KEY)
        if counts:
            self._config.stash.setdefault(FAILED_AFTER, Counter()).update(counts)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the section."""
        outcomes = tuple(self._collector.detailed())
        interrupted = self._config.stash.get(INTERRUPTED, None)
        if interrupted is not None:
            outcomes += (interrupted,)
        checked = any(outcome.leak or outcome.leak_skipped for outcome in outcomes)
        if not checked and not self._settings.leak_accept:
            return
        from pytest_memguard.plugin.repeating.after_repetitions import FAILED_AFTER, lines_of
        from pytest_memguard.report.leak_section import leaks_section

        try:
            known = known_leaks(self._config).leaks()
        except ConfigError as error:  # the check that needs it has reported it
            known, self._lines = {}, list(error.problems)
        lines = leaks_section(outcomes, known, self._settings.leak_ignore)
        if interrupted is not None:
            lines.append(f"interrupted: the check of {interrupted.nodeid} had not ended")
        if self._settings.leak_accept and not lines:
            lines = [
                "no test was checked: --mem-leak-accept needs --mem-leak-check or a marker"
            ]
        if lines:
            failed: Counter[str] = self._config.stash.get(FAILED_AFTER, Counter())
            lines += lines_of(failed)
            terminalreporter.write_sep("=", "leaks")
            for line in [*lines, *self._lines]:
                terminalreporter.write_line(one_line(line))


def known_leaks(config: pytest.Config) -> KnownLeaksFile:
    """The file of leaks that were accepted before, the same one for all of a run."""
    from pytest_memguard.storage.known_leaks import FILE, KnownLeaksFile

    return config.stash.setdefault(KNOWN, KnownLeaksFile(Path(config.rootpath) / FILE))
