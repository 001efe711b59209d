"""Checks of other plugins, made to look like our own."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pytest_memguard.checks.protocol import MarkedTest, Measured, PlacedMarker, TestCheck
from pytest_memguard.errors import CheckFailed, ConfigError
from pytest_memguard.escapes import one_line
from pytest_memguard.extension import Check, Readings, Violation
from pytest_memguard.measure.requirements import Requirements
from pytest_memguard.model.measurements import Budget, Finding, PhaseName
from pytest_memguard.model.metrics import METRICS, RSS

if TYPE_CHECKING:
    from pytest_memguard.checks.protocol import Limits
    from pytest_memguard.model.results import Outcome


class _Plan:
    """What a check has planned for one test, which need not be a value that can be hashed.

    Args:
        plan: what it has returned.
        metrics: those it reads, beside resident memory.
    """

    def __init__(self, plan: Any, metrics: frozenset[str]) -> None:
        self.plan = plan
        self.metrics = metrics


class ForeignCheck(TestCheck):
    """Plans and judges tests by a check of another plugin, which may raise anything.

    Args:
        check: that one.
    """

    error = CheckFailed
    explains = False
    judges_reruns = False
    shares_plans = False

    def __init__(self, check: Check) -> None:
        self.name = f"plugin: {check.name}"
        self._check = check
        self._markers = {_marker_name(line) for line in check.markers}

    def plan(
        self,
        test: MarkedTest,
        limits: Limits,
        problems: list[str],
    ) -> _Plan | None:
        """What the check needs to judge a test later, with the metrics that takes."""
        plan: Any = None
        try:
            plan = self._check.plan(test.info())
            names = frozenset(self._check.metrics(plan)) if plan is not None else frozenset()
        except ConfigError as error:
            problems += [
                f"{test.nodeid}, {self._check.name}: {text}" for text in error.problems
            ]
            return None
        except Exception as error:  # noqa: BLE001  another's code may raise anything
            problems.append(
                f"{test.nodeid}: the check {self._check.name} raised "
                f"{type(error).__name__}: {error}"
            )
            return None
        if plan is None:
            return None
        measured = {n for n in names & METRICS.keys() if not METRICS[n].is_traced}
        problems += [
            f"{test.nodeid}: the check {self._check.name} asks for the metric {name}, which "
            "no probe measures"
            for name in sorted(names - measured)
        ]
        further = frozenset(name for name in measured if not METRICS[name].is_resident)
        return _Plan(plan, further)

    def requirements(self, plan: _Plan) -> Requirements:
        """That every phase is measured, in the metrics that the check reads."""
        return Requirements(metrics=plan.metrics, readings=True)

    def judge(self, plan: _Plan | None, measured: Measured, phase: PhaseName) -> list[Finding]:
        """What the check has to say about a test when its call, or teardown, has ended."""
        if plan is None or phase == "setup":
            return []
        readings = measured.readings()
        try:
            found = list(self._check.judge(plan.plan, readings, phase))
            metrics = self._check.metrics(plan.plan)
            lost = _lost(metrics, readings) if phase == "teardown" else ""
        except Exception as error:  # noqa: BLE001  another plugin's code
            found, lost = [], f"it raised {type(error).__name__}: {error}"
        findings = [_finding(self._check, violation) for violation in found]
        return [*findings, _not_made(self._check, lost)] if lost else findings

    def too_late(
        self,
        test: MarkedTest,
        markers: Sequence[PlacedMarker],
        reason: str,
        problems: list[str],
    ) -> list[Finding]:
        """A finding if the test has added a marker of the check during its call."""
        late: Collection[str] = {marker.mark.name for marker in markers}
        return [] if self._markers.isdisjoint(late) else [_not_made(self._check, reason)]

    def owns(self, finding: Finding) -> bool:
        """Whether a finding is one of the check."""
        return finding.check == self._check.name

    def is_breach(self, nodeid: str, finding: Finding) -> bool:
        """Whether the check has something against the test."""
        return finding.rule == "check-failed"


def _marker_name(line: str) -> str:
    """The name of a marker in a line of ``pytest --markers``: ``fd_budget(limit): ...``."""
    return line.partition(":")[0].partition("(")[0].strip()


def failures_of(check: Check, outcomes: Iterable[Outcome]) -> list[tuple[str, str]]:
    """Node id and sentence of each violation of a check."""
    return [
        (outcome.nodeid, finding.text)
        for outcome in outcomes
        for finding in outcome.findings
        if finding.check == check.name and finding.rule == "check-failed"
    ]


def _finding(check: Check, violation: Violation) -> Finding:
    return Finding(
        rule="check-failed",
        check=check.name,
        budget=_no_budget(check),
        text=one_line(violation.text),
    )


def _not_made(check: Check, reason: str) -> Finding:
    text = one_line(f"the check {check.name} could not be made: {reason}")
    return Finding(rule="not-measured", check=check.name, budget=_no_budget(check), text=text)


def _no_budget(check: Check) -> Budget:
    return Budget(limit=0, where=f"the check {check.name}", metric=RSS.name)


def _lost(names: Iterable[str], readings: Readings) -> str:
    """Why one of the metrics was not measured, if so."""
    for name in names:
        reading = readings.whole(name)
        if reading is not None and reading.lost:
            return f"{reading.metric.noun}: {reading.lost}"
    return ""
