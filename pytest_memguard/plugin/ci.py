"""What CI services read: GitHub's job summary and annotations, Markdown and GitLab files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from pytest_memguard.options.settings import Settings
from pytest_memguard.plugin.collector import Collector
from pytest_memguard.plugin.options import ON_DEMAND, usage_error
from pytest_memguard.probes.repository import prefix_of
from pytest_memguard.storage.files import append_text, check_writable

_LEAST: Final = 4096
"""Bytes that must be left in a job's summary for ours to be worth a try."""


class CiReport:
    """Writes for CI services, in the process that talks to the user.

    Args:
        config: the configuration of pytest.
        collector: has every outcome.
        settings: the settings of the run.

    Raises:
        pytest.UsageError: if a file could not be written in the end.
    """

    def __init__(self, config: pytest.Config, collector: Collector, settings: Settings) -> None:
        self._collector = collector
        self._settings = settings
        self._root = Path(config.rootpath)
        self._summary = github_summary() if settings.github == "auto" else None
        self._on_github = settings.github == "auto" and on_github()
        self._files: list[tuple[Path, str, Callable[[], str]]] = []
        self._wants("markdown", "Markdown summary", self._markdown)
        self._wants("gitlab", "code quality report", self._gitlab)

    def _wants(self, name: str, noun: str, text: Callable[[], str]) -> None:
        wanted: str | None = getattr(self._settings, name)
        if wanted is None:
            return
        path = Path(wanted).absolute()
        problem = check_writable(path)
        if problem:
            where = self._settings.where(name)
            raise usage_error([f"{where}: cannot write {wanted}: {problem}"])
        self._files.append((path, noun, text))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the files, and append to the job's summary."""
        if not self._collector.worth_writing(session):
            return
        for path, noun, text in self._files:
            self._collector.write(session, path, text(), noun)
        if self._summary is not None and self._collector.has_content:
            self._append_summary(self._summary)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print what GitHub makes annotations of."""
        if not self._on_github:
            return
        from pytest_memguard.report.github import workflow_commands
        from pytest_memguard.report.notices import notices

        for line in workflow_commands(notices(self._collector.run()), self._prefix()):
            terminalreporter.write_line(line)

    def _append_summary(self, path: Path) -> None:
        """Append to the summary; a failure here is no failure of the tests."""
        from pytest_memguard.report.markdown import markdown
        from pytest_memguard.report.markdown_blocks import SUMMARY_LIMIT

        settings, lines = self._settings, self._collector.closing_lines
        run = self._collector.run()
        try:
            there = path.stat().st_size if path.exists() else 0
            left = SUMMARY_LIMIT - there - 1
            if left < _LEAST:
                lines.append("the job's summary is full: nothing of ours was added")
                return
            whole = settings.measures_all
            text = markdown(run, top=settings.top, limit=left, whole=whole)
            append_text(path, f"\n{text}" if there else text)
        except OSError as error:
            lines.append(f"the job's summary was not written: {error}")

    def _markdown(self) -> str:
        from pytest_memguard.report.markdown import markdown
        from pytest_memguard.report.markdown_blocks import COMMENT_LIMIT

        return markdown(self._collector.run(), top=self._settings.top, limit=COMMENT_LIMIT)

    def _gitlab(self) -> str:
        from pytest_memguard.report.gitlab import code_quality
        from pytest_memguard.report.notices import notices

        return code_quality(notices(self._collector.run()), self._prefix())

    def _prefix(self) -> str:
        return prefix_of(self._root)


def on_github() -> bool:
    """Whether this is a step on GitHub Actions, and not a run within a test of another one."""
    # pytest sets the last one while a test runs: what it starts is its own affair
    environment = os.environ
    return environment.get("GITHUB_ACTIONS") == "true" and not environment.get(
        "PYTEST_CURRENT_TEST"
    )


def start_reporting_on_github(config: pytest.Config) -> None:
    """Set up the reports on GitHub Actions, although no test has asked for them.

    Args:
        config: pytest's, of the process that reports.
    """
    if not on_github():
        return
    ceiling: Any = config.pluginmanager.get_plugin("memguard-ceiling")
    for late in (config.stash.get(ON_DEMAND, None), ceiling):
        if late is not None:
            late.start_reporting()


def github_summary() -> Path | None:
    """The file in which GitHub Actions takes the summary of a step, if there is one."""
    name = os.environ.get("GITHUB_STEP_SUMMARY", "")
    return Path(name) if name and on_github() else None
