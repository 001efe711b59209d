"""Reports how the process of an isolated test died, in place of the test's own report."""

from __future__ import annotations

import json
import os
import time
from typing import IO, TYPE_CHECKING

import pytest

from pytest_memguard.clock import Clock
from pytest_memguard.codecs.run_codec import OUTCOME_CODEC
from pytest_memguard.judge.death import death_of
from pytest_memguard.model.flights import Ending
from pytest_memguard.model.measurements import Peak, PhaseReading
from pytest_memguard.model.metrics import RSS
from pytest_memguard.model.results import Outcome
from pytest_memguard.plugin.failures import Died
from pytest_memguard.plugin.outcomes import combined_result, result_of
from pytest_memguard.plugin.properties import PEAK
from pytest_memguard.plugin.pytest_internals.isolated import (
    captured_output,
    failed_call,
    note_xfail,
    passed_call,
)
from pytest_memguard.plugin.pytest_internals.plugins import builtin_hook
from pytest_memguard.probes.oom_kills import read_oom_counter
from pytest_memguard.report.death_text import death_text

if TYPE_CHECKING:
    from pytest_memguard.checks.isolation.plan import IsolationPlan
    from pytest_memguard.forking.child_server import Ended
    from pytest_memguard.model.deaths import Death, Phase, Stopped


class IsolatedProgress:
    """How far an isolated test has come, by what its process has reported.

    Attributes:
        level: resident bytes at its start, if they are known.
        seen: the highest resident bytes that were seen.
        stopped: by which limit it was stopped.
        reports: those of its phases so far.
        start: when it was started.
        phase_start: when its present phase was.
    """

    def __init__(self) -> None:
        self.level: int | None = None
        self.seen = 0
        self.stopped: Stopped | None = None
        self.reports: list[pytest.TestReport] = []
        self.start = self.phase_start = Clock.seconds()


class IsolatedDeath:
    """The death of the process of one test.

    Args:
        item: the test.
        plan: what it may use.
        progress: how far it had come.
        kills: the counter of out-of-memory kills before the first test.
        stack: the file with the Python stack of the process, if it has written that.
    """

    def __init__(
        self,
        item: pytest.Item,
        plan: IsolationPlan,
        progress: IsolatedProgress,
        kills: int | None,
        stack: IO[bytes],
    ) -> None:
        self._item = item
        self._config = item.config
        self._plan = plan
        self._progress = progress
        self._kills = kills
        self._stack = stack

    def report(self, ended: Ended) -> None:
        """Fail the test with how its process died.

        Args:
            ended: what the kernel says.
        """
        item, progress, phase = self._item, self._progress, self._phase()
        now = Clock.seconds()
        death = death_of(
            ending_of(ended, self._kills),
            phase=phase,
            seconds=now - progress.start,
            stopped=progress.stopped,
            level=progress.level,
            seen=progress.seen,
            limit=self._plan.limit,
            timeout=self._plan.timeout,
            where=self._plan.where,
            stack=self._read_stack(),
            root=f"{self._config.rootpath}{os.sep}",
        )
        error = Died(death_text(death), death)
        note_xfail(item)
        properties = progress.reports[-1].user_properties if progress.reports else []
        item.user_properties[:] = properties
        if death.used is not None:
            item.user_properties.append((PEAK, max(0, death.used)))
        seconds = now - progress.phase_start
        call = failed_call(error, phase, time.time() - seconds, seconds)
        # other plugins' hooks rely on what they have prepared where the test ran
        make = builtin_hook(self._config, "pytest_runtest_makereport")
        report = make(item=item, call=call)
        report.sections = self._sections(phase)
        last = report
        if phase != "teardown":
            self._log(report)
            last = make(item=item, call=passed_call("teardown"))
        outcome = OUTCOME_CODEC.write(
            self._outcome(death, seconds, [*progress.reports, report])
        )
        last.memguard = json.dumps(outcome)
        self._log(last)

    def _log(self, report: pytest.TestReport) -> None:
        self._item.ihook.pytest_runtest_logreport(report=report)

    def _phase(self) -> Phase:
        """The phase in which the test is: the one after the last that was reported."""
        done = {
            report.when
            for report in self._progress.reports
            if type(report) is pytest.TestReport
        }
        if "setup" not in done:
            return "setup"
        failed = any(r.when == "setup" and not r.passed for r in self._progress.reports)
        return "teardown" if failed or "call" in done else "call"

    def _sections(self, phase: Phase) -> list[tuple[str, str]]:
        """What was captured of the test: of phases that were reported, and of the last one."""
        reported = [r for r in self._progress.reports if type(r) is pytest.TestReport]
        sections = list(reported[-1].sections) if reported else []
        for name, text in zip(("stdout", "stderr"), captured_output(self._config), strict=True):
            if text:
                sections.append((f"Captured {name} {phase}", text))
        return sections

    def _read_stack(self) -> list[str]:
        self._stack.seek(0)
        return self._stack.read().decode(errors="replace").splitlines()

    def _outcome(
        self, death: Death, seconds: float, reports: list[pytest.TestReport]
    ) -> Outcome:
        item = self._item
        results = {str(r.when): result_of(r) for r in reports if type(r) is pytest.TestReport}
        file, line, _ = item.location
        peaks: tuple[Peak, ...] = ()
        if death.used is not None:
            used = max(0, death.used)
            peaks = (Peak(metric=RSS.name, value=used, high=used, method="kernel mark"),)
        worker = getattr(self._config, "workerinput", {}).get("workerid", "")
        phase = PhaseReading(
            name=death.phase, seconds=seconds, level=death.level or 0, growth=0, peaks=peaks
        )
        return Outcome(
            nodeid=item.nodeid,
            file=file,
            line=(line or 0) + 1,
            result=combined_result(results),
            worker=worker,
            phases=(phase,) if peaks else (),
            death=death,
        )


def ending_of(ended: Ended, kills: int | None) -> Ending:
    """What is known about the end of a process.

    Args:
        ended: what the kernel says.
        kills: the counter of out-of-memory kills as it was before.
    """
    code = os.waitstatus_to_exitcode(ended.status)
    counter = read_oom_counter()
    new = counter.kills - kills if counter.kills is not None and kills is not None else None
    return Ending(
        signal=-code if code < 0 else None,
        exit_code=code if code >= 0 else None,
        highest=ended.highest,
        oom_kills=new,
        oom_source=counter.source,
    )
