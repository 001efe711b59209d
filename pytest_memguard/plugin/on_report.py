"""Sets up the session in the process that reports, once another one has something to say."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_memguard.plugin.collector import Collector


class OnReport:
    """Waits for the first report that carries numbers of ours."""

    def __init__(self, start_session: Callable[[], Collector | None]) -> None:
        self._start = start_session
        self._started = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Start collecting with this report."""
        if not self._started and hasattr(report, "memguard"):
            self._started = True
            collector = self._start()
            if collector is not None:
                collector.take(report)
