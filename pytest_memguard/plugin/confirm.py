"""Measures a test again in a process that was forked before the first one."""

from __future__ import annotations

import contextlib
import gc
import importlib
import sys
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

import pytest

from pytest_memguard.isolation import ForkServer, can_fork
from pytest_memguard.judge.regression_findings import confirmed, not_confirmed
from pytest_memguard.judge.slack_thresholds import NEGLIGIBLE_SLACK
from pytest_memguard.model import Finding, Gap, Outcome, Peak
from pytest_memguard.sizes import format_size
from pytest_memguard.wire import outcome_from_json

SECONDS: Final = 60.0
NO_FORK: Final = Gap(
    subject="--mem-confirm",
    reason="this platform has no fork; suspects are not measured again",
)


class Confirm:
    """Asks the process that was forked after the collection, and has run no test.

    Args:
        times: measurements at most.
        measure: runs a test once more where it is called, and returns its outcome as JSON.
    """

    def __init__(self, times: int, measure: Callable[[pytest.Item], Any]) -> None:
        self._times = times
        self._measure = measure
        self._items: Mapping[str, pytest.Item] = {}
        self._server: ForkServer | None = None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Fork once the tests are known, before the first of them."""
        self._items = {item.nodeid: item for item in session.items}
        if can_fork() and session.items and not session.config.getoption("collectonly"):
            self._server = ForkServer(self._again)
        try:
            return (yield)
        finally:
            self.close()

    def close(self) -> None:
        """Let the process end."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def ask(self, finding: Finding, so_far: Outcome, seconds: float) -> Finding | None:
        """The finding as it is after the test has been measured again.

        Args:
            finding: a suspect.
            so_far: what was measured of the test.
            seconds: what its call took.

        Returns:
            A regression, a finding that is not held against the test, or nothing where
            there was nothing but an open question.
        """
        stored = finding.budget.baseline_value
        if stored is None:
            return finding
        readings: list[int] = []
        problem = ""
        for _ in range(self._times):
            outcome, problem = self.measure(so_far, seconds, stored.imports)
            peak = _peak(outcome, finding) if outcome is not None else None
            if peak is None:
                break
            limit = finding.budget.limit
            if peak.value <= limit < peak.high and peak.high - peak.value > NEGLIGIBLE_SLACK:
                low, high = format_size(peak.value), format_size(peak.high)
                problem = f"it lies between {low} and {high} there"
                break
            readings.append(peak.value)
            if peak.value <= limit:
                if finding.rule == "regression":
                    return not_confirmed(finding, readings)
                return None  # the question is answered
        return confirmed(finding, readings, problem)

    def exactly(self, outcome: Outcome) -> Outcome:
        """A test's outcome with the peaks it has where no other test has left slack.

        Args:
            outcome: of a test whose numbers are to be stored; it comes back as it is where
                its peak is exact, or cannot be measured again.
        """
        call = outcome.phase("call")
        peak = call.peak() if call is not None else None
        if call is None or peak is None or peak.high - peak.value <= NEGLIGIBLE_SLACK:
            return outcome
        if outcome.result != "passed":
            return outcome
        again, _ = self.measure(outcome, call.seconds, outcome.imports)
        other = again.phase("call") if again is not None else None
        if again is None or other is None:
            return outcome
        phases = (
            replace(phase, peaks=other.peaks) if phase.name == "call" else phase
            for phase in outcome.phases
        )
        return replace(
            outcome, phases=tuple(phases), stages=again.stages, imports=again.imports
        )

    def measure(
        self, here: Outcome, seconds: float, imports: int
    ) -> tuple[Outcome | None, str]:
        """Measure a test where no other test has left anything.

        What was loaded here before its call is loaded there, too: the first to use a library
        pays for it, and that would be this test.

        Args:
            here: what was measured of the test here.
            seconds: what its call took.
            imports: modules its call may load for the first time; if there are more, it is
                run again.

        Returns:
            What it used if it passed there, and otherwise why that is not known.
        """
        if self._server is None:
            return None, "there is no such process"
        loaded = list(sys.modules)
        request = {
            "nodeid": here.nodeid,
            "imports": imports,
            "loaded": loaded[: len(loaded) - here.imports],
        }
        answer = self._server.ask(request, max(SECONDS, 40 * seconds))
        if answer.problem or not answer.value:
            return None, answer.problem or "it did not get that far"
        outcome = outcome_from_json(answer.value)
        return (outcome, "") if outcome.result == "passed" else (None, "it did not pass there")

    def _again(self, request: Mapping[str, Any]) -> Any:
        """In a child of its own: run the test; again if it had more to import than allowed.

        A first run leaves slack behind, so that a second one is less exact.
        """
        item = self._items[request["nodeid"]]
        _load(request["loaded"])
        answer = self._measure(item)
        if answer is None or answer["imports"] <= request["imports"]:
            return answer
        gc.collect()
        return self._measure(item)


def _load(names: Iterable[str]) -> None:
    """Import modules that another process has; those that are made otherwise stay away."""
    for name in names:
        if name not in sys.modules:
            with contextlib.suppress(Exception):
                importlib.import_module(name)
    gc.collect()


def _peak(outcome: Outcome, finding: Finding) -> Peak | None:
    """What a second measurement says about what a finding is about."""
    budget = finding.budget
    if budget.stage is not None:
        stage = next((s for s in outcome.stages if s.path == budget.stage), None)
        return stage.peak(budget.metric) if stage is not None else None
    call = outcome.phase("call")
    return call.peak(budget.metric) if call is not None else None
