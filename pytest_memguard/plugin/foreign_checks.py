"""Checks of other plugins around the tests: planned, judged, and told of at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from pytest_memguard.errors import ConfigError
from pytest_memguard.escapes import one_line
from pytest_memguard.extension import Check, Marker, Readings, TestInfo, Violation
from pytest_memguard.metrics import METRICS, RSS
from pytest_memguard.model import Budget, Finding, PhaseName

if TYPE_CHECKING:
    from pytest_memguard.model import Outcome


class ForeignChecks:
    """Plans and judges tests by the checks of other plugins.

    Args:
        checks: these.
    """

    def __init__(self, checks: Sequence[Check]) -> None:
        self._checks = checks
        self._checks_by_marker = {
            _marker_name(line): check for check in checks for line in check.markers
        }
        self._plans: dict[str, list[tuple[Check, Any]]] = {}

    def metrics_of(self, item: pytest.Item, problems: list[str]) -> frozenset[str] | None:
        """The metrics a test has to be measured in; None if no check applies to it.

        Args:
            item: the test.
            problems: takes a line for everything that is wrong with its markers.
        """
        test = _info(item)
        plans = self._plans[item.nodeid] = [
            (check, plan)
            for check in self._checks
            if (plan := self._plan(check, test, problems)) is not None
        ]
        if not plans:
            return None
        names = {name for check, plan in plans for name in check.metrics(plan)}
        measured = {n for n in names & METRICS.keys() if not METRICS[n].is_traced}
        for name in sorted(names - measured):
            asking = next(check for check, plan in plans if name in check.metrics(plan))
            problems.append(
                f"{item.nodeid}: the check {asking.name} asks for the metric {name}, which "
                "no probe measures"
            )
        return frozenset(name for name in measured if not METRICS[name].is_resident)

    def judge(self, nodeid: str, readings: Readings, phase: PhaseName) -> list[Finding]:
        """What the checks have to say against a test when a phase has ended.

        Args:
            nodeid: the test.
            readings: what was measured of it.
            phase: the one that has ended.
        """
        return [
            finding
            for check, plan in self._plans.get(nodeid, ())
            for finding in self._judged(check, plan, readings, phase)
        ]

    def late_findings(self, marks: Iterable[pytest.Mark], reason: str) -> list[Finding]:
        """A finding for each check whose marker a test has added during its call.

        Args:
            marks: those that were added.
            reason: why they cannot be heeded.
        """
        late = {mark.name: None for mark in marks}
        checks = [self._checks_by_marker[n] for n in late if n in self._checks_by_marker]
        return [_not_made(check, reason) for check in checks]

    @staticmethod
    def _plan(check: Check, test: TestInfo, problems: list[str]) -> Any:
        try:
            return check.plan(test)
        except ConfigError as error:
            problems += [f"{test.nodeid}, {check.name}: {text}" for text in error.problems]
        except Exception as error:  # noqa: BLE001  another's code may raise anything
            problems.append(
                f"{test.nodeid}: the check {check.name} raised {type(error).__name__}: {error}"
            )
        return None

    @staticmethod
    def _judged(check: Check, plan: Any, readings: Readings, phase: PhaseName) -> list[Finding]:
        try:
            found = list(check.judge(plan, readings, phase))
            lost = _lost(check.metrics(plan), readings) if phase == "teardown" else ""
        except Exception as error:  # noqa: BLE001  likewise
            found, lost = [], f"it raised {type(error).__name__}: {error}"
        findings = [_finding(check, violation) for violation in found]
        return [*findings, _not_made(check, lost)] if lost else findings


class ForeignSections:
    """Prints the sections of other plugins' checks.

    Args:
        checks: these.
        outcomes: reads those that have findings.
    """

    def __init__(
        self, checks: Sequence[Check], outcomes: Callable[[], Iterable[Outcome]]
    ) -> None:
        self._checks = checks
        self._outcomes = outcomes

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print a section for each check that has something to say."""
        told = list(self._outcomes())
        for check in self._checks:
            lines = check.section(_failures(check, told))
            if lines:
                terminalreporter.write_sep("=", check.name)
                for line in lines:
                    terminalreporter.write_line(one_line(line))


def _marker_name(line: str) -> str:
    """The name of a marker in a line of ``pytest --markers``: ``fd_budget(limit): ...``."""
    return line.partition(":")[0].partition("(")[0].strip()


def _failures(check: Check, outcomes: Iterable[Outcome]) -> list[tuple[str, str]]:
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


def _info(item: pytest.Item) -> TestInfo:
    return TestInfo(
        nodeid=item.nodeid,
        markers=tuple(
            Marker(name=mark.name, args=mark.args, kwargs=mark.kwargs)
            for mark in item.iter_markers()
        ),
        fixtures=tuple(getattr(item, "fixturenames", ())),
    )
