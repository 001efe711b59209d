"""With -v and --mem, a test's peak stands behind its status."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from pytest_memguard.sizes import format_size


class StatusPeaks:
    """Puts peaks into the status line alone; pytest asks for its words elsewhere too."""

    def __init__(self) -> None:
        self._shown: pytest.TestReport | None = None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(
        self, report: pytest.TestReport
    ) -> Generator[None, object, object]:
        """Remember which report is being shown."""
        self._shown = report
        try:
            return (yield)
        finally:
            self._shown = None

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(
        self, report: pytest.CollectReport | pytest.TestReport
    ) -> Generator[None, Any, Any]:
        """Put the peak behind the status."""
        status = yield
        peak = getattr(report, "memguard_peak", None)
        if peak is None or report is not self._shown or not status:
            return status
        category, letter, word = status
        text = f"({format_size(peak)})"
        if isinstance(word, tuple):
            return category, letter, (f"{word[0]} {text}", word[1])
        return category, letter, f"{word} {text}" if word else word
