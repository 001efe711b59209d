"""Runs tests whose worker was killed for memory once more, alone, before they have failed."""

from __future__ import annotations

from collections.abc import Generator
from copy import copy
from dataclasses import replace
from typing import Any, Final, NamedTuple

import pytest

from pytest_memguard.judge.lost_worker import was_for_memory
from pytest_memguard.model.flights import AloneResult, LostWorker, RunAlone
from pytest_memguard.options.settings import Settings
from pytest_memguard.plugin.keys import LOST
from pytest_memguard.plugin.pytest_internals.plugins import forget_xml
from pytest_memguard.plugin.pytest_internals.xdist_alone import (
    WorkerAlone,
    count_workers,
    is_stopping,
)
from pytest_memguard.plugin.pytest_internals.xdist_workers import process_of
from pytest_memguard.probes.ended_process import ending_of
from pytest_memguard.report.post_mortem import alone_text

_RERUN: Final = "rerun"
"""The outcome of a report that decides nothing, as pytest-rerunfailures calls it."""
_OFF: Final = "mem_flight_record is off, so that it is not known why a worker is lost"
_STOPPED: Final = "the run was stopped"


def begin_reruns(config: pytest.Config, settings: Settings) -> None:
    """Have killed tests run once more, if there are going to be workers.

    Args:
        config: the configuration of pytest.
        settings: the settings of the run.
    """
    if hasattr(config, "workerinput"):
        return
    problem = _OFF if settings.flight_record == "off" else ""
    reruns = KilledTests(config, settings.reruns_killed, problem)
    config.pluginmanager.register(reruns, "memguard-rerun-killed")


class _Held(NamedTuple):
    """A test whose failure is not reported yet."""

    report: pytest.TestReport
    node: Any
    workers: int
    text: str


def _is_kept(report: pytest.TestReport) -> bool:
    outcome: str = report.outcome
    return outcome == _RERUN


class KilledTests:
    """The tests of this run whose worker was killed for memory.

    Args:
        config: pytest's, of the process that starts the workers.
        where: source of the setting.
        problem: why none is found.
    """

    def __init__(self, config: pytest.Config, where: str, problem: str) -> None:
        self._config = config
        self._where = where
        self._problem = problem
        self._held: dict[str, _Held] = {}
        self._alone = ""
        self._result: AloneResult = "passed"

    def pytest_report_header(self) -> list[str]:
        """Say why no test runs once more."""
        if not self._problem or not self._config.pluginmanager.hasplugin("dsession"):
            return []
        return [f"memguard: {self._where} does nothing: {self._problem}"]

    @pytest.hookimpl(optionalhook=True, trylast=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        """Keep the failure of a test that is going to run once more."""
        if self._alone:
            self._result = "killed"
            report.longrepr = f"{report.longrepr}\nmemguard: {self._before()}, and alone"
            return
        node: Any = getattr(report, "node", None)
        worker = str(node.gateway.id)
        lost = next((one for one in self._lost() if one.worker == worker), None)
        if lost is None or report.outcome != "failed" or not was_for_memory(lost):
            return  # or pytest-rerunfailures runs it again
        workers = count_workers(self._config)
        self._held[crashitem] = _Held(report, node, workers, str(report.longrepr))
        report.outcome = _RERUN  # type: ignore[assignment]

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(
        self, report: pytest.TestReport
    ) -> tuple[str, str, Any] | None:
        """Name a report that decides nothing."""
        if _is_kept(report) and report.nodeid in self._held:
            return _RERUN, "R", ("RERUN", {"yellow": True})
        return None

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep such a report out of JUnit files, and note how the test ends alone."""
        if report.nodeid == self._alone:
            if report.outcome == "failed" and self._result != "killed":
                self._result = "failed"
                report.sections.append(("memguard", f"this is its run alone: {self._before()}"))
            elif report.outcome == "skipped" and self._result == "passed":
                self._result = "skipped"
        elif report.nodeid in self._held and _is_kept(report):
            forget_xml(self._config, report)
        elif report.nodeid in self._held and report.when == "teardown":
            # with --dist=loadscope and the like, pytest-xdist runs tests of lost workers again
            self._note(self._held.pop(report.nodeid), "not-alone", None)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """Run them when all others have ended."""
        try:
            result = yield
            for nodeid in list(self._held):
                if not is_stopping(self._config):
                    self._run(nodeid)
            return result
        finally:
            for nodeid in list(self._held):
                self._fail(nodeid, _STOPPED)

    def _run(self, nodeid: str) -> None:
        held = self._held[nodeid]
        self._alone, self._result = nodeid, "passed"
        node: Any = None
        try:
            worker = WorkerAlone(self._config, nodeid, held.node)
            worker.run()
            node, problem = worker.node, worker.problem
        except Exception as error:  # noqa: BLE001  the failure must be reported then
            problem = f"{type(error).__name__}: {error}"
        finally:
            self._alone = ""
        if problem:
            self._fail(nodeid, problem)
        else:
            self._note(self._held.pop(nodeid), self._result, self._highest(node))

    def _highest(self, node: Any) -> int | None:
        """Return the highest resident bytes of a worker, which has nothing more to do."""
        process = process_of(node)
        name = str(node.gateway.id)
        ended = next((one.ending.highest for one in self._lost() if one.worker == name), None)
        if ended is not None or process is None:
            return ended
        node.gateway.exit()
        ending = ending_of(process.pid)
        # where peaks are measured, the kernel's mark is reset before each phase
        collector: Any = self._config.pluginmanager.get_plugin("memguard-report")
        measured = collector.totals() if collector is not None and collector.tests else ()
        found = [totals.highest for totals in measured if totals.worker == name]
        if ending is not None and ending.highest is not None:
            found.append(ending.highest)
        return max(found, default=None)

    def _fail(self, nodeid: str, reason: str) -> None:
        """Report a failure that was kept, because the test cannot run once more."""
        held = self._held.pop(nodeid)
        alone = self._note(held, "not-run", None, reason)
        report = copy(held.report)
        report.outcome = "failed"
        report.longrepr = f"{held.text}\nmemguard: {alone_text(alone)}"
        self._config.hook.pytest_runtest_logreport(report=report)

    def _note(
        self, held: _Held, result: AloneResult, highest: int | None, reason: str = ""
    ) -> RunAlone:
        alone = RunAlone(
            nodeid=held.report.nodeid,
            result=result,
            workers=held.workers,
            highest=highest,
            reason=reason,
        )
        lost = self._lost()
        for at, one in enumerate(lost):
            if one.worker == str(held.node.gateway.id):
                lost[at] = replace(one, alone=alone)
        nodes: Any = self._config.pluginmanager.get_plugin("memguard-lost-nodes")
        nodes.keep()
        return alone

    def _before(self) -> str:
        """Return what happened to the test that runs alone."""
        workers = self._held[self._alone].workers
        return f"killed with {workers} worker{'' if workers == 1 else 's'}"

    def _lost(self) -> list[LostWorker]:
        return self._config.stash.setdefault(LOST, [])
