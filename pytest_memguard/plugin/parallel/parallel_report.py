"""Reports how tests waited for memory, in the process that talks to the user."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_memguard.codecs.admission_codecs import ADMISSION_CODEC
from pytest_memguard.escapes import one_line
from pytest_memguard.model.admission import (
    Admission,
    ExceededNeed,
    Need,
    ParallelRun,
    WaitedTest,
)
from pytest_memguard.plugin.keys import WORKERS_LINE
from pytest_memguard.recording.tokens import ALONE
from pytest_memguard.report.parallel import header_lines, status_text, summary_lines

if TYPE_CHECKING:
    from pytest_memguard.plugin.collector import Collector

ADMISSION: Final = "memguard_admission"
"""Name under which the report of a setup has how its test came to start."""
USED: Final = "memguard_used"
"""Name under which that of a teardown has what its test used, if that is far too much."""


class ParallelReport:
    """Collects how tests came to start.

    Args:
        config: the configuration of pytest.
        collector: prints the lines at the end.
        run: how much there is to share.
        recorded: number of tests whose need is recorded, for each source.

    Attributes:
        status: shows waits behind the status of tests, with -v.
        real: the highest sum that all processes used; 0 if it was not measured.
        real_is: what that sum is, or why there is none.
    """

    def __init__(
        self,
        config: pytest.Config,
        collector: Collector,
        run: ParallelRun,
        recorded: Mapping[str, int],
    ) -> None:
        self._config = config
        self._collector = collector
        self._run = run
        self._recorded = recorded
        self.status: WaitStatus | None = None
        if config.get_verbosity() > 0:
            self.status = WaitStatus()
            config.pluginmanager.register(self.status, "memguard-wait-status")
        self._waited: list[WaitedTest] = []
        self._exceeded: list[ExceededNeed] = []
        self._admitted = self._needs = self._levels = self._elsewhere = 0
        self._has_run = False
        self.real, self.real_is = 0, "this run has no workers"

    @property
    def run(self) -> ParallelRun:
        """How tests shared the memory so far."""
        return ParallelRun(
            size=self._run.size,
            source=self._run.source,
            reason=self._run.reason,
            admitted=self._admitted,
            waited=tuple(sorted(self._waited, key=lambda test: -test.seconds)),
            exceeded=tuple(sorted(self._exceeded, key=lambda t: t.need.size - t.used)),
            needs=self._needs,
            levels=self._levels,
            elsewhere=self._elsewhere,
            real=self.real,
            real_is=self.real_is,
        )

    def pytest_report_header(self) -> list[str]:
        """Say how much there is, and how many workers fit."""
        lines = list(header_lines(self._run, self._recorded))
        workers = self._config.stash.get(WORKERS_LINE, "")
        if workers:
            lines.append(workers)
        return [one_line(f"memguard: {line}") for line in lines]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take how the test came to start."""
        carried, self._has_run = report.__dict__, True
        if ADMISSION in carried:
            self._add(report, ADMISSION_CODEC.read(carried.pop(ADMISSION)))
        if USED in carried:
            size, source, used = carried.pop(USED)
            need = Need(size=size, source=source)
            self._exceeded.append(ExceededNeed(nodeid=report.nodeid, need=need, used=used))

    def _add(self, report: pytest.TestReport, admission: Admission) -> None:
        """Note how a test came to start."""
        self._admitted += 1
        self._elsewhere = max(self._elsewhere, admission.elsewhere)
        is_known = admission.need.source != ALONE
        if is_known and admission.needs + admission.levels > self._needs + self._levels:
            self._needs, self._levels = admission.needs, admission.levels
        if not admission.waited:
            return
        gateway = getattr(getattr(report, "node", None), "gateway", None)
        self._waited.append(
            WaitedTest(
                nodeid=report.nodeid,
                worker=str(getattr(gateway, "id", "")),
                need=admission.need,
                seconds=admission.waited,
            )
        )
        if self.status is not None:
            self.status.waited[report.nodeid] = admission

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Have the lines for the end of the run printed, unless no test has run."""
        if self._has_run:
            self._collector.closing_lines += map(one_line, summary_lines(self.run))


class WaitStatus:
    """Shows behind the status of each test how long it has waited.

    Attributes:
        waited: how tests came to start that have waited, by node id, until they have ended.
    """

    def __init__(self) -> None:
        self.waited: dict[str, Admission] = {}
        self._shown: pytest.TestReport | None = None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_logreport(
        self, report: pytest.TestReport
    ) -> Generator[None, object, object]:
        """Remember which report is being shown: pytest asks for its words elsewhere, too."""
        self._shown = report
        try:
            return (yield)
        finally:
            self._shown = None
            if report.when == "teardown":
                self.waited.pop(report.nodeid, None)

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(
        self, report: pytest.CollectReport | pytest.TestReport
    ) -> Generator[None, Any, Any]:
        """Put how long a test has waited behind its status."""
        status = yield
        if report is not self._shown or not status or report.nodeid not in self.waited:
            return status
        category, letter, word = status
        text = status_text(self.waited[report.nodeid])
        if isinstance(word, tuple):
            return category, letter, (f"{word[0]} {text}", word[1])
        return category, letter, f"{word} {text}" if word else word
