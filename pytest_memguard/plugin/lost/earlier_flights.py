"""Reports at the start of a run that an earlier one was lost."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

import pytest

from pytest_memguard.escapes import one_line
from pytest_memguard.recording.lost_flights import earlier_runs, lost_in
from pytest_memguard.report.post_mortem import short, when_text
from pytest_memguard.storage.flight_folders import LostRun, prune
from pytest_memguard.storage.run_folder import mark_reported

_SHOWN: Final = 3
"""Number of processes of one run that are named."""


class EarlierFlights:
    """Reports each lost run once.

    Args:
        parents: folders in which runs leave their records.
    """

    def __init__(self, parents: list[Path]) -> None:
        self._parents = parents
        self._lines: list[str] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Look for runs that have left their records behind."""
        for run in earlier_runs(self._parents, with_reported=False):
            self._lines += lines_about(run)
            with contextlib.suppress(OSError):  # it is reported again, then
                mark_reported(run.path)
        for parent in self._parents:
            prune(parent)

    def pytest_report_header(self) -> list[str]:
        """Report them at the start."""
        lines, self._lines = self._lines, []
        return lines

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Report them at the end if there was no header."""
        if self._lines:
            terminalreporter.write_sep("=", "an earlier run")
        for line in self.pytest_report_header():
            terminalreporter.write_line(line)


def lines_about(run: LostRun) -> list[str]:
    """Return a few lines about a lost run.

    Args:
        run: the run.
    """
    lost = lost_in(run)
    when = max((one.time for one in lost), default=float(run.about.get("time", 0)))
    command = run.about.get("command", "an earlier run")
    lines = [f"memguard: {command} was lost{f' at {when_text(when)}' if when else ''}:"]
    lines += [f"  {line}" for one in lost[:_SHOWN] for line in short(one)]
    if len(lost) > _SHOWN:
        lines.append(f"  ... and {len(lost) - _SHOWN} more")
    lines += [f"  {problem}" for problem in run.problems]
    if not lost and not run.problems:
        lines.append("  no test had started")
    lines.append(f"  everything known: memguard postmortem {run.path}")
    return [one_line(line) for line in lines]
