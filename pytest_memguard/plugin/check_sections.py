"""Prints the sections of other plugins' checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import pytest

from pytest_memguard.checks.foreign import failures_of
from pytest_memguard.escapes import one_line
from pytest_memguard.extension import Check

if TYPE_CHECKING:
    from pytest_memguard.model.results import Outcome


class CheckSections:
    """Prints the sections of other plugins' checks.

    Args:
        checks: these.
        outcomes: reads those that have findings.
    """

    def __init__(
        self, checks: Sequence[Check], outcomes: Callable[[], Iterable[Outcome]]
    ) -> None:
        self._checks = checks
        self._outcomes = outcomes

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print a section for each check that has something to say."""
        reported = list(self._outcomes())
        for check in self._checks:
            lines = check.section(failures_of(check, reported))
            if lines:
                terminalreporter.write_sep("=", check.name)
                for line in lines:
                    terminalreporter.write_line(one_line(line))
