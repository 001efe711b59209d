"""Leaves captured output out of failures that are only about memory, unless -v is given."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final

import pytest

_CAPTURED: Final = "Captured "
_FAILED: Final = ("failed", "error")


class QuietFailures:
    """Hides what a test has printed while pytest shows its failure."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter
    ) -> Generator[None, object, object]:
        """Hide the sections while the terminal prints, and put them back for others."""
        hidden: list[tuple[Any, Any]] = []
        for category in _FAILED:
            for report in terminalreporter.stats.get(category, ()):
                if getattr(report, "memguard_alone", False):
                    hidden.append((report, report.sections))
                    report.sections = [
                        one for one in report.sections if not one[0].startswith(_CAPTURED)
                    ]
        try:
            return (yield)
        finally:
            for report, sections in hidden:
                report.sections = sections
