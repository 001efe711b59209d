"""Follows one isolated test: reports what its process reports, and stops it at its limits."""

from __future__ import annotations

import faulthandler
import json
import os
import time
from typing import IO, TYPE_CHECKING, Any, NoReturn

import pytest

from pytest_memguard.child_channel import Message
from pytest_memguard.child_server import Child, Ended
from pytest_memguard.clock import Clock
from pytest_memguard.codecs.run_codec import OUTCOME_CODEC
from pytest_memguard.flights import Ending
from pytest_memguard.judge.death import death_of
from pytest_memguard.metrics import RSS
from pytest_memguard.model import Outcome, Peak, PhaseReading
from pytest_memguard.plugin.failures import Died
from pytest_memguard.plugin.fresh_budgets import MeasuredAgain, Reason
from pytest_memguard.plugin.keys import FRESH, ITEMS, LOADED
from pytest_memguard.plugin.limit_watch import LimitWatch
from pytest_memguard.plugin.outcomes import combined_result, result_of
from pytest_memguard.plugin.plain_values import warning_from_plain
from pytest_memguard.plugin.properties import PEAK
from pytest_memguard.plugin.pytest_internals.isolated import (
    captured_output,
    failed_call,
    forget_unread,
    note_xfail,
    passed_call,
    share_memory,
)
from pytest_memguard.plugin.pytest_internals.plugins import (
    builtin_hook,
    note_failed_subtests,
)
from pytest_memguard.probes.oom_kills import read_oom_counter
from pytest_memguard.report.death_text import death_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_memguard.checks.isolation.plan import IsolationPlan
    from pytest_memguard.deaths import Death, Phase, Stopped
    from pytest_memguard.plugin.child_coverage import ChildCoverage


class IsolatedTest:
    """One test that runs in a child.

    Args:
        item: the test.
        plan: what it may use.
        stack: the file to which its process writes its Python stack if it dies.
        kills: the counter of out-of-memory kills before the first test.
        coverage: takes what coverage.py has measured there.

    Attributes:
        begun: whether its process has begun with it.
    """

    def __init__(
        self,
        item: pytest.Item,
        plan: IsolationPlan,
        stack: IO[bytes],
        kills: int | None,
        coverage: ChildCoverage,
    ) -> None:
        self._item = item
        self._config = item.config
        self._plan = plan
        self._stack = stack
        self._kills = kills
        self._coverage = coverage
        self.begun = False
        self._level: int | None = None
        self._seen = 0
        self._stopped: Stopped | None = None
        self._reports: list[pytest.TestReport] = []
        self._end: Message = ()
        self._stops: list[Message] = []
        self._start = self._phase_start = 0.0

    def follow(self, child: Child) -> Ended | None:
        """Report what the test reports, until it is over.

        Args:
            child: has been asked to run it.

        Returns:
            How its process has died; ``None`` if it has not.

        Raises:
            ServerLost: if the process that forks children has gone.
        """
        spare_this_process(self._item)
        os.ftruncate(self._stack.fileno(), 0)
        self._start = self._phase_start = Clock.seconds()
        watch = LimitWatch(child, self._plan, self._start)
        while True:
            message = child.receive(watch.seconds())
            if message is None:
                watch.act(self._level)
            elif isinstance(message, Ended):
                self._seen = max(self._seen, watch.seen)
                self._stopped = self._stopped or watch.stopped
                return message
            elif self._take(message):
                return None

    def stop_if_asked(self) -> None:
        """Stop the run if the test has asked for that.

        Raises:
            KeyboardInterrupt: if it was interrupted.
            pytest.exit.Exception: if it has called ``pytest.exit``.
            RuntimeError: if a hook has raised.
        """
        session = self._item.session
        for _, fails, stops in self._stops:
            session.shouldfail = session.shouldfail or fails
            session.shouldstop = session.shouldstop or stops
        kind, *arguments = self._end or ("done",)
        if kind == "exit":
            raise pytest.exit.Exception(*arguments)
        if kind == "interrupted":
            raise KeyboardInterrupt
        if kind == "internal":
            _raise_internal(arguments[0])

    def _take(self, message: Message) -> bool:
        """Act on a message; return whether it is the last one."""
        kind, *arguments = message
        acts: Mapping[str, Callable[..., None]] = {
            "report": self._report,
            "warning": self._warn,
            "measured again": self._count_again,
            "judged again": self._judge_again,
            "loaded": self._add_loaded,
            "coverage": self._coverage.take,
        }
        if kind in acts:
            acts[kind](*arguments)
        elif kind == "begun":
            self.begun, self._level = True, arguments[0]
        elif kind == "over limit":
            self._seen, self._stopped = arguments[0], "limit"
        elif kind == "failed subtests":
            note_failed_subtests(self._item, *arguments)
        elif kind == "stop":
            self._stops.append(message)
        else:
            self._end = message
            return True
        return False

    def _report(self, data: Any) -> None:
        hook = self._config.hook
        report = hook.pytest_report_from_serializable(config=self._config, data=data)
        item = self._item
        share_memory(report, item, self._reports[0] if self._reports else None)
        self._reports.append(report)
        self._phase_start = Clock.seconds()
        item.ihook.pytest_runtest_logreport(report=report)
        forget_unread(self._config, report)

    def _warn(self, data: Any, when: str, nodeid: str, location: Any) -> None:
        self._config.hook.pytest_warning_recorded.call_historic(
            kwargs={
                "warning_message": warning_from_plain(data),
                "when": when,
                "nodeid": nodeid,
                "location": location,
            }
        )

    def _count_again(self, count: int, seconds: float) -> None:
        confirm = self._config.stash[ITEMS].confirm
        if confirm is not None:
            confirm.add_counts(count, seconds)

    def _add_loaded(self, libraries: Sequence[str]) -> None:
        self._config.stash[LOADED].add(libraries)

    def _judge_again(
        self, nodeid: str, seconds: float, avoided_by: int, reason: Reason
    ) -> None:
        test = MeasuredAgain(
            nodeid=nodeid, seconds=seconds, avoided_by=avoided_by, reason=reason
        )
        self._config.stash[FRESH].add(test)

    # Its death

    def report_death(self, ended: Ended) -> None:
        """Fail the test with how its process died.

        Args:
            ended: what the kernel says.
        """
        item, phase = self._item, self._phase()
        now = Clock.seconds()
        death = death_of(
            ending_of(ended, self._kills),
            phase=phase,
            seconds=now - self._start,
            stopped=self._stopped,
            level=self._level,
            seen=self._seen,
            limit=self._plan.limit,
            timeout=self._plan.timeout,
            where=self._plan.where,
            stack=self._read_stack(),
            root=f"{self._config.rootpath}{os.sep}",
        )
        error = Died(death_text(death), death)
        note_xfail(item)
        properties = self._reports[-1].user_properties if self._reports else []
        item.user_properties[:] = properties
        if death.used is not None:
            item.user_properties.append((PEAK, max(0, death.used)))
        seconds = now - self._phase_start
        call = failed_call(error, phase, time.time() - seconds, seconds)
        # other plugins' hooks rely on what they have prepared where the test ran
        make = builtin_hook(self._config, "pytest_runtest_makereport")
        report = make(item=item, call=call)
        report.sections = self._sections(phase)
        last = report
        if phase != "teardown":
            self._log(report)
            last = make(item=item, call=passed_call("teardown"))
        outcome = OUTCOME_CODEC.write(self._outcome(death, seconds, [*self._reports, report]))
        last.memguard = json.dumps(outcome)
        self._log(last)

    def _log(self, report: pytest.TestReport) -> None:
        self._item.ihook.pytest_runtest_logreport(report=report)

    def _phase(self) -> Phase:
        """The phase in which the test is: the one after the last that was reported."""
        done = {report.when for report in self._reports if type(report) is pytest.TestReport}
        if "setup" not in done:
            return "setup"
        failed = any(r.when == "setup" and not r.passed for r in self._reports)
        return "teardown" if failed or "call" in done else "call"

    def _sections(self, phase: Phase) -> list[tuple[str, str]]:
        """What was captured of the test: of phases that were reported, and of the last one."""
        reported = [r for r in self._reports if type(r) is pytest.TestReport]
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


def spare_this_process(item: pytest.Item) -> None:
    """Let only the process of the test be stopped by other plugins that limit its time."""
    cancel = getattr(item, "cancel_timeout", None)  # pytest-timeout
    if callable(cancel):
        cancel()
    faulthandler.cancel_dump_traceback_later()


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


def _raise_internal(text: str) -> NoReturn:
    msg = f"a hook raised in the process of an isolated test:\n{text}"
    raise RuntimeError(msg)
