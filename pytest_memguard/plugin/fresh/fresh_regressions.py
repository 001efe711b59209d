"""Measures tests again in a fresh process where they seem to be regressions, or are stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import pytest

from pytest_memguard.clock import Clock
from pytest_memguard.codecs.measurement_codecs import SITE_CODEC
from pytest_memguard.forking.isolation import ChildResult
from pytest_memguard.judge.cold_and_warm import (
    NOTABLE,
    Against,
    KnownFills,
    TwoCalls,
    against,
    grew_before,
    grown_holders,
)
from pytest_memguard.judge.imports import new_libraries
from pytest_memguard.judge.regression import is_hidden_by_record
from pytest_memguard.judge.regression_findings import after_two_calls, not_decided
from pytest_memguard.judge.slack_thresholds import NEGLIGIBLE_SLACK
from pytest_memguard.model.baselines import BaselineValue
from pytest_memguard.model.causes import Cause
from pytest_memguard.model.measurements import Budget, CallSite, Finding
from pytest_memguard.model.metrics import RSS
from pytest_memguard.model.results import Gap, Outcome
from pytest_memguard.plugin.fresh.fresh_process import FreshProcess
from pytest_memguard.plugin.fresh.measured_again import (
    GROWN,
    again_from,
    call_peak,
    cause_of,
    differs,
    named,
    peak_of,
    was_enough,
)
from pytest_memguard.plugin.fresh.shared_fills import SharedFills
from pytest_memguard.plugin.names import MUST_NOT_RUN_AGAIN

KEY: Final = "memguard_measured_again"
"""What a worker sends the number and the seconds of its measurements under."""
_OF_PYTEST: Final = frozenset(
    {"cache", "capfd", "caplog", "capsys", "monkeypatch", "request", "tmp_path", "tmpdir"}
)
"""Fixtures that are no reason to suppose a common cause."""
NO_FORK: Final = Gap(
    subject="--mem-confirm",
    reason="this platform has no fork; suspects are not measured again",
)


class FreshRegressions:
    """Has suspects, and tests whose numbers are stored, measured where no test has run.

    Args:
        times: how often a suspect is measured again at most.
        process: measures them.
        stores: whether the numbers of a test are going to be stored, whatever was found.

    Attributes:
        count: how many measurements were made.
        seconds: how long they took.
        shared_fills: finds what tests fill together.
    """

    def __init__(
        self, times: int, process: FreshProcess, stores: Callable[[Outcome], bool]
    ) -> None:
        self.shared_fills = SharedFills(process)
        self._times = times
        self._process = process
        self._stores = stores
        self._latest = ("", "")
        self._request: dict[str, Any] = {}
        self._reported: dict[str, str] = {}
        self._answers: list[ChildResult] = []
        self.count = 0
        self.seconds = 0.0

    def take_counts(self) -> tuple[int, float]:
        """Return the number and the seconds of measurements, and begin to count anew."""
        counts, self.count, self.seconds = (self.count, self.seconds), 0, 0.0
        return counts

    def add_counts(self, count: int, seconds: float) -> None:
        """Count what a forked child has measured."""
        self.count += count
        self.seconds += seconds
        self._process.note(seconds)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Send the controller how much was measured again."""
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output[KEY] = [self.count, self.seconds]

    def ask(
        self,
        finding: Finding,
        so_far: Outcome,
        seconds: float,
        known: KnownFills,
        explained: Sequence[tuple[int, int]] = (),
    ) -> Finding | None:
        """The finding as it is after the test has been measured again.

        Args:
            finding: a suspect.
            so_far: what was measured of the test.
            seconds: what its call took.
            known: what the tests of the baseline fill.
            explained: peaks of a first call that other tests explain, each as the least and
                the most bytes.

        Returns:
            A regression, a finding that is not held against the test, or nothing where
            there was nothing but an open question.
        """
        stored = finding.budget.baseline_value
        if stored is None:
            return finding
        refusal = (
            "" if self._latest[0] == so_far.nodeid else self._process.refusal(so_far.nodeid)
        )
        if refusal:
            return _refused(finding, stored, refusal)
        measured: list[TwoCalls] = []
        result: Finding | None = finding
        for number in range(self._times):
            answer = self._answer(so_far, seconds, number, _request_for(finding, explained))
            again = again_from(answer, lambda outcome: peak_of(outcome, finding.budget))
            verdict = None
            if again.calls is not None:
                measured.append(again.calls)
                verdict = against(finding.budget, stored, again.calls, known, finding.peak)
                if verdict is Against.NOTHING and finding.rule == "undecided":
                    verdict = _of_record(finding.budget, stored, again.calls)
            grown, reported = set[str](), ""
            if again.calls is not None and verdict in GROWN:
                grown = grown_holders(finding.budget, stored, again.calls, known)
                if verdict is Against.IMPORT_IS_NEW:
                    new = new_libraries(again.calls.libraries, known.loaded)
                    grown = {f"sys.modules[{name!r}]" for name in new}
                reported = self._first_of(grown, finding, again.calls)
                verdict = Against.FILL_IS_REPORTED if reported else verdict
            result = after_two_calls(
                finding, measured, verdict, again.problem, known, reported=reported
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
        answer = self._asked(so_far, seconds, traced_call=1 if cold else 2)
        return tuple(map(SITE_CODEC.read, answer.value or ()))

    def fixtures(self, nodeid: str) -> tuple[str, ...]:
        """Names of the fixtures that a test uses, as far as they may be a cause."""
        return tuple(sorted(set(self._process.fixtures(nodeid)) - _OF_PYTEST))

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
        is_stored = self._stores(outcome)
        if call is None or peak is None or outcome.result != "passed" or not is_stored:
            if outcome.result != "passed" or outcome.findings:
                self.shared_fills.note(outcome, is_stored=False)
            return outcome
        if peak.high <= NOTABLE:
            self.shared_fills.note(outcome)
            return outcome
        again = again_from(self._answer(outcome, call.seconds, 0, {}), call_peak)
        filled = again.calls.filled if again.calls is not None else 0
        self.shared_fills.note(outcome, filled)
        if again.calls is None or again.cold is None:
            return outcome
        first = again.calls.cold
        differs = filled > NOTABLE
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

    def _answer(
        self, here: Outcome, seconds: float, number: int, request: dict[str, Any]
    ) -> ChildResult:
        """Measure a test where no other test has left anything, twice if need be.

        Args:
            here: what was measured of the test here.
            seconds: what its call took.
            number: of the measurement, from 0; a second finding on a test rests on the same,
                unless one call was enough for the first.
            request: what is measured, and when one call is enough.
        """
        latest = (here.nodeid, request.get("metric", RSS.name))
        is_partial = any(map(was_enough, self._answers)) and request != self._request
        if self._latest != latest or is_partial:
            self._latest, self._request, self._answers = latest, request, []
        if number == len(self._answers):
            answer = self._asked(here, seconds, **request)
            if differs(answer):
                # what fills is found by a walk around the heap, which few tests are worth
                fills = self._asked(here, seconds, names_fills=True)
                answer = named(answer, fills)
            self._answers.append(answer)
            self.count += 1
        return self._answers[number]

    def _asked(self, here: Outcome, seconds: float, **request: Any) -> ChildResult:
        """The answer of the fresh process.

        Args:
            here: what was measured of the test here.
            seconds: what its call took.
            request: for that process.
        """
        start = Clock.seconds()
        answer = self._process.ask(here, seconds, **request)
        self.seconds += Clock.seconds() - start
        return answer


def _request_for(finding: Finding, explained: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """What to ask about a suspect: a second call is made where the first does not decide."""
    metric, limit = finding.budget.metric, finding.budget.limit
    if metric != RSS.name:
        return {"metric": metric}
    return {"enough": limit, "explained": list(map(list, explained))}


def _of_record(budget: Budget, stored: BaselineValue, calls: TwoCalls) -> Against:
    """Whether there is nothing against a test, or only the bound on record lets it pass."""
    least = min(peak.value for peak in (calls.cold, calls.warm) if peak is not None)
    is_hidden = is_hidden_by_record(budget.limit, stored, least)
    return Against.RECORD_IS_A_BOUND if is_hidden else Against.NOTHING


def _refused(finding: Finding, stored: BaselineValue, why: str) -> Finding:
    """A suspect that is not measured again; where there was no time, others may explain it."""
    undecided = not_decided(finding, why)
    if why == MUST_NOT_RUN_AGAIN or finding.peak is None:
        return undecided
    return replace(undecided, cause=Cause(growth=finding.peak.value - stored.before))
