"""The history's half of the report: appends the run at its end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from heapq import merge
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Final

import pytest

from pytest_memguard.errors import ConfigError
from pytest_memguard.model.metrics import CHILDREN, RSS
from pytest_memguard.model.past_runs import HistoryLocation, PastReading, PastRun
from pytest_memguard.model.results import Outcome
from pytest_memguard.options.settings import Settings
from pytest_memguard.plugin.collector import Collector
from pytest_memguard.plugin.environment import environment
from pytest_memguard.plugin.options import usage_error
from pytest_memguard.plugin.properties import NEED, WAITED
from pytest_memguard.probes.commit import current_commit
from pytest_memguard.report.death_text import short_cause
from pytest_memguard.storage.appended_runs import append_run
from pytest_memguard.storage.database import StoreError
from pytest_memguard.storage.history_location import FILE, check_location, open_to_write

_FAILED: Final = frozenset({"failed", "error"})
_CRASH: Final = "???"
"""What pytest-xdist and pytest-forked call the phase in which a test's process died."""


class HistoryReport:
    """Appends the run to the history, in the process that talks to the user.

    Args:
        config: the configuration of pytest.
        settings: the settings of the run.
        collector: has every outcome.

    Raises:
        pytest.UsageError: if the run could not be appended in the end.
    """

    def __init__(self, config: pytest.Config, settings: Settings, collector: Collector) -> None:
        self._config = config
        self._collector = collector
        self._crashed: list[str] = []
        self._lost: dict[str, str] = {}
        self._admitted: dict[str, tuple[int, float]] = {}
        self.location = location_of(config, settings)
        try:
            check_location(self.location)
        except (ConfigError, StoreError) as error:
            raise usage_error([f"{settings.where('history')}: {error}"]) from error
        # before the tests: it is this commit that they test
        self._commit = current_commit(Path(config.rootpath))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object, error: object) -> None:
        """Note an xdist worker that died."""
        if error:
            gateway = getattr(node, "gateway", None)
            self._crashed.append(str(getattr(gateway, "id", "a worker")))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test that asked for memory, or whose process died and reports no more."""
        if report.when == "setup" and report.user_properties:
            known = dict(report.user_properties)
            if NEED in known and WAITED in known:
                self._admitted[report.nodeid] = int(str(known[NEED])), float(str(known[WAITED]))
        # one that is to be run again (pytest-rerunfailures) has another outcome here
        if str(report.when) == _CRASH and report.outcome == "failed":
            gateway = getattr(getattr(report, "node", None), "gateway", None)
            self._lost[report.nodeid] = str(getattr(gateway, "id", ""))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(
        self, session: pytest.Session, exitstatus: int | pytest.ExitCode
    ) -> None:
        """Append the run."""
        # counted first: a second reading of the outcomes takes less than to keep them all
        tests = sum(1 for _ in self._readings())
        if not tests:
            if not self._config.getoption("collectonly"):
                self._add_line(f"no test was measured, {self.location} is as it was")
            return
        run = PastRun(
            number=0,
            ended=datetime.now(tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            commit=self._commit,
            environment="",
            status=int(exitstatus),
            aborted=self._aborted(session, int(exitstatus)),
            tests=tests,
        )
        try:
            database = open_to_write(self.location)
            try:
                number = append_run(database, run, environment(), self._readings())
            finally:
                database.close()
        except (ConfigError, StoreError) as error:
            self._add_line(f"the run could not be appended to the history: {error}")
            if session.exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
        else:
            self._add_line(_saved_line(run, number, self.location))

    def _readings(self) -> Iterator[PastReading]:
        deaths = {one.running: short_cause(one) for one in self._collector.lost()}
        for reading in readings_of(self._collector.outcomes(), self._lost):
            need, waited = self._admitted.get(reading.nodeid, (None, None))
            death = reading.death or deaths.get(reading.nodeid, "")
            yield replace(reading, need=need, waited=waited, death=death)

    def _add_line(self, line: str) -> None:
        self._collector.closing_lines.append(line)

    def _aborted(self, session: pytest.Session, status: int) -> str:
        """Why the run did not come to its end; empty if it did."""
        if self._crashed:
            return f"crashed: {', '.join(sorted(self._crashed))}"
        if status == pytest.ExitCode.INTERNAL_ERROR:
            return "internal error"
        stopped = session.shouldfail or session.shouldstop
        if stopped:
            return str(stopped) if isinstance(stopped, str) else "stopped"
        if status not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
            return "interrupted"
        return ""


def location_of(config: pytest.Config, settings: Settings) -> HistoryLocation:
    """Where the history is: a file named on the command line is looked for from here."""
    location = settings.history
    if location is None or location.is_url or location.is_half_url:
        return location or HistoryLocation(text=FILE)
    at_root = location.text == FILE or settings.where("history") != "--mem-history"
    folder = config.rootpath if at_root else config.invocation_params.dir
    return replace(location, text=str(folder / location.text))


def readings_of(outcomes: Iterable[Outcome], lost: Mapping[str, str]) -> Iterator[PastReading]:
    """What is kept of a run: one reading for each test, sorted by node id.

    A test that ran in several processes (``--dist=each``) is known by its highest peak, or
    by having crashed.

    Args:
        outcomes: what was measured, sorted by node id.
        lost: tests whose process died, with xdist's name for that.
    """
    nodeid = attrgetter("nodeid")
    measured = (
        max(map(reading_of, several), key=lambda reading: reading.peak or 0)
        for name, several in groupby(outcomes, key=nodeid)
        if name not in lost
    )
    crashed = (
        PastReading(run=0, nodeid=name, outcome="crashed", worker=lost[name])
        for name in sorted(lost)
    )
    return merge(measured, crashed, key=nodeid)


def reading_of(outcome: Outcome) -> PastReading:
    """What is kept of one test."""
    peak = outcome.peak
    leak = outcome.leak
    finding = next((f.rule for f in outcome.findings if f.raised), "")
    leaking = leak is not None and leak.fails
    if not finding and leaking and outcome.result == "failed":
        finding = "leaking"
    return PastReading(
        run=0,
        nodeid=outcome.nodeid,
        outcome="crashed" if outcome.death and outcome.result in _FAILED else outcome.result,
        finding=finding if outcome.death is None else "",
        metric=peak.metric if peak is not None else RSS.name,
        peak=peak.value if peak is not None else None,
        ceiling=peak.high if peak is not None else None,
        growth=outcome.growth if peak is not None else None,
        imports=outcome.imports,
        leak=leak.verdict.state if leak is not None else "",
        seconds=sum(phase.seconds for phase in outcome.phases),
        worker=outcome.worker,
        death=short_cause(outcome.death) if outcome.death is not None else "",
        children=_children(outcome),
    )


def _children(outcome: Outcome) -> int | None:
    """Return what descendants of a test used at most; ``None`` if that was not measured."""
    peaks = (phase.peak(CHILDREN.name) for phase in outcome.phases)
    return max((peak.value for peak in peaks if peak is not None), default=None)


def _saved_line(run: PastRun, number: int, location: HistoryLocation) -> str:
    many = "1 test" if run.tests == 1 else f"{run.tests:,} tests"
    commit = run.commit
    line = f"run {number} of the history, {many}"
    if commit.name:
        line += f", commit {commit.name[:9]}{' with changes' if commit.dirty else ''}"
    elif commit.reason:
        line += f", no commit known ({commit.reason})"
    if run.aborted:
        line += f", not complete ({run.aborted})"
    return f"{line}: {location}"
