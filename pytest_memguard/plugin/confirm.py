"""Measures a test again in a process that was forked before the first one."""

from __future__ import annotations

import gc
import sys
from collections.abc import (
    Callable,
    Generator,
    Mapping,
    Sequence,
)
from dataclasses import replace
from functools import partial
from typing import Any, Final

import pytest

from pytest_memguard.clock import Clock
from pytest_memguard.isolation import ChildResult, ForkServer, can_fork
from pytest_memguard.judge.cold_and_warm import (
    NOTABLE,
    Against,
    KnownFills,
    TwoCalls,
    against,
    grew_before,
    grown_holders,
)
from pytest_memguard.judge.regression_findings import after_two_calls, not_decided
from pytest_memguard.judge.slack_thresholds import NEGLIGIBLE_SLACK
from pytest_memguard.measurement_wire import site_from_json, site_to_json
from pytest_memguard.metrics import RSS
from pytest_memguard.model import CallSite, Finding, Gap, Outcome
from pytest_memguard.plugin.measured_again import (
    GROWN,
    again_from,
    call_peak,
    cause_of,
    differs,
    fills_of,
    load,
    named,
    passed,
    peak_of,
)
from pytest_memguard.plugin.names import MUST_NOT_RUN_AGAIN, must_not_run_again
from pytest_memguard.probes import own_children

KEY: Final = "memguard_measured_again"
"""What a worker sends the number and the seconds of its measurements under."""
SECONDS: Final = 60.0
_OF_PYTEST: Final = frozenset(
    {"cache", "capfd", "caplog", "capsys", "monkeypatch", "request", "tmp_path", "tmpdir"}
)
"""Fixtures that are no reason to suppose a common cause."""
NO_FORK: Final = Gap(
    subject="--mem-confirm",
    reason="this platform has no fork; suspects are not measured again",
)


class Confirm:
    """Asks the process that was forked after the collection, and has run no test.

    Args:
        times: how often a suspect is measured again at most.
        measure: runs a test once more where it is called, with a metric beside resident memory,
            and returns its outcome as JSON.
        trace: calls a test so many times where it is called, and returns the lines that hold
            most at the peak of the last call.
        stores: whether the numbers of a test are going to be stored, whatever was found.

    Attributes:
        count: how many measurements were made.
        seconds: how long they took.
    """

    def __init__(
        self,
        times: int,
        measure: Callable[[pytest.Item, str], Any],
        trace: Callable[[pytest.Item, int], Sequence[CallSite]],
        stores: Callable[[Outcome], bool],
    ) -> None:
        self._times = times
        self._stores = stores
        self._measure = measure
        self._trace = trace
        self._items: Mapping[str, pytest.Item] = {}
        self._server: ForkServer | None = None
        self._latest = ("", "")
        self._reported: dict[str, str] = {}
        self._answers: list[ChildResult] = []
        self.count = 0
        self.seconds = 0.0

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Fork once the tests are known, before the first of them."""
        self._items = {item.nodeid: item for item in session.items}
        if can_fork() and session.items and not session.config.getoption("collectonly"):
            self._begin()
        try:
            return (yield)
        finally:
            self.close()

    def _begin(self) -> None:
        self._server = ForkServer(self._again)
        own_children.PIDS.add(self._server.pid)

    def begin_in_child(self) -> None:
        """Go on in a forked child in which no test has run; it may die while it asks."""
        if self._server is not None:
            own_children.PIDS.discard(self._server.pid)
            self._server.leave()
            self._begin()

    def take_counts(self) -> tuple[int, float]:
        """Return the number and the seconds of measurements, and begin to count anew."""
        counts, self.count, self.seconds = (self.count, self.seconds), 0, 0.0
        return counts

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Tell the controller how much was measured again."""
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output[KEY] = [self.count, self.seconds]

    def close(self) -> None:
        """Let the process end."""
        if self._server is not None:
            own_children.PIDS.discard(self._server.pid)
            self._server.close()
            self._server = None

    def ask(
        self, finding: Finding, so_far: Outcome, seconds: float, known: KnownFills
    ) -> Finding | None:
        """The finding as it is after the test has been measured again.

        Args:
            finding: a suspect.
            so_far: what was measured of the test.
            seconds: what its call took.
            known: what the tests of the baseline fill.

        Returns:
            A regression, a finding that is not held against the test, or nothing where
            there was nothing but an open question.
        """
        stored = finding.budget.baseline_value
        if stored is None:
            return finding
        if must_not_run_again(self._items.get(so_far.nodeid)):
            return not_decided(finding, MUST_NOT_RUN_AGAIN)
        told: list[TwoCalls] = []
        result: Finding | None = finding
        for number in range(self._times):
            answer = self._answer(so_far, seconds, number, finding.budget.metric)
            again = again_from(answer, lambda outcome: peak_of(outcome, finding))
            verdict = None
            if again.calls is not None:
                told.append(again.calls)
                verdict = against(finding.budget, stored, again.calls, known, finding.peak)
            grown, reported = set[str](), ""
            if again.calls is not None and verdict in GROWN:
                grown = grown_holders(finding.budget, stored, again.calls, known)
                reported = self._first_of(grown, finding, again.calls)
                verdict = Against.FILL_IS_REPORTED if reported else verdict
            result = after_two_calls(
                finding, told, verdict, again.problem, known, reported=reported
            )
            if result is not None:
                cause = cause_of(finding, again.calls, verdict, grown)
                result = replace(result, cause=cause)
            if result is None or result.rule != "regression":
                break
        else:
            self._reported |= dict.fromkeys(grown - self._reported.keys(), so_far.nodeid)
        return result

    def lines(self, so_far: Outcome, seconds: float, *, cold: bool) -> Sequence[CallSite]:
        """The lines that hold most at the peak of a test's call, where no other test has run.

        Args:
            so_far: what was measured of the test here.
            seconds: what its call took.
            cold: whether its first call is traced, which fills what stays; or the second.
        """
        self.count += 1
        request = {**self._request(so_far, RSS.name), "traced_call": 1 if cold else 2}
        return tuple(map(site_from_json, self._asked(request, seconds).value or ()))

    def fixtures(self, nodeid: str) -> tuple[str, ...]:
        """Names of the fixtures that a test uses, as far as they may be a cause."""
        names = getattr(self._items.get(nodeid), "fixturenames", ())
        return tuple(sorted(set(names) - _OF_PYTEST))

    def _first_of(self, grown: set[str], finding: Finding, calls: TwoCalls) -> str:
        """The test that has failed for what another one would fill; empty if there is none.

        Args:
            grown: holders of what has grown.
            finding: about the other one, which has a baseline value.
            calls: what it does in a fresh process.
        """
        if grown and grown <= self._reported.keys():
            return self._reported[min(grown)]
        stored = finding.budget.baseline_value
        if stored is None or not stored.cold or not grew_before(stored, calls, finding.peak):
            return ""
        return next(reversed(self._reported.values()), "")

    def cold(self, outcome: Outcome) -> Outcome:
        """A test's outcome with the peaks it has where no other test has run before.

        Args:
            outcome: of a test whose numbers are to be stored; it comes back as it is where
                its peak does not matter, or cannot be measured again.
        """
        call = outcome.phase("call")
        peak = call.peak() if call is not None else None
        if call is None or peak is None or peak.high <= NOTABLE:
            return outcome
        if outcome.result != "passed" or not self._stores(outcome):
            return outcome
        again = again_from(self._answer(outcome, call.seconds, 0, RSS.name), call_peak)
        if again.calls is None or again.cold is None:
            return outcome
        first = again.calls.cold
        differs = again.calls.filled > NOTABLE
        exact = peak.high - peak.value <= NEGLIGIBLE_SLACK
        better = again.warm if differs else again.cold
        other = better.phase("call") if better is not None else None
        if other is not None and (differs or not exact):
            phases = (
                replace(phase, peaks=other.peaks) if phase.name == "call" else phase
                for phase in outcome.phases
            )
            outcome = replace(outcome, phases=tuple(phases))
            if not differs:
                outcome = replace(outcome, stages=again.cold.stages, imports=again.cold.imports)
        return replace(outcome, cold=first, fills=again.calls.fills if differs else ())

    def _answer(self, here: Outcome, seconds: float, number: int, metric: str) -> ChildResult:
        """Measure a test twice where no other test has left anything.

        What was loaded here before its call is loaded there, too: the first to use a library
        pays for it, and that would be this test.

        Args:
            here: what was measured of the test here.
            seconds: what its call took.
            number: of the measurement, from 0; a second finding on a test rests on the same.
            metric: what is measured beside resident memory.
        """
        if self._latest != (here.nodeid, metric):
            self._latest, self._answers = (here.nodeid, metric), []
        if number == len(self._answers):
            request = self._request(here, metric)
            answer = self._asked(request, seconds)
            if differs(answer):
                # what fills is found by a walk around the heap, which few tests are worth
                answer = named(answer, self._asked({**request, "names_fills": True}, seconds))
            self._answers.append(answer)
            self.count += 1
        return self._answers[number]

    def _request(self, here: Outcome, metric: str) -> dict[str, Any]:
        """What the fresh process is asked for, and what is loaded here before the call."""
        loaded = list(sys.modules)[: len(sys.modules) - here.imports]
        return {
            "nodeid": here.nodeid,
            "metric": metric,
            "loaded": loaded,
            "names_fills": False,
            "traced_call": 0,
        }

    def _asked(self, request: Mapping[str, Any], seconds: float) -> ChildResult:
        """The answer of the fresh process.

        Args:
            request: for it.
            seconds: what the call of the test took here.
        """
        if self._server is None:
            return ChildResult(problem="there is no such process")
        if must_not_run_again(self._items.get(request["nodeid"])):
            return ChildResult(problem=MUST_NOT_RUN_AGAIN)
        start = Clock.seconds()
        answer = self._server.ask(request, max(SECONDS, 80 * seconds))
        self.seconds += Clock.seconds() - start
        return answer

    def _again(self, request: Mapping[str, Any]) -> Any:
        """In a child of its own: run the test twice, or trace it, or name what it fills."""
        item = self._items[request["nodeid"]]
        load(request["loaded"])
        if request["traced_call"]:
            return list(map(site_to_json, self._trace(item, request["traced_call"])))
        metric = request["metric"]
        if request["names_fills"]:
            return {"fills": fills_of(partial(self._measure, item, metric))}
        gc.collect()
        gc.freeze()  # the collections of the test need not look at what was there before
        cold = self._measure(item, metric)
        gc.collect()
        warm = self._measure(item, metric) if passed(cold) is not None else None
        return {"cold": cold, "warm": warm, "fills": []}
