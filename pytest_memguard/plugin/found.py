"""What the judges found in a phase: considered, explained, told, and raised in the test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_memguard.errors import MemoryBudgetWarning
from pytest_memguard.escapes import one_line
from pytest_memguard.model import Finding
from pytest_memguard.plugin.explainer import Explainer
from pytest_memguard.plugin.failures import Breach, Regressed, Violated
from pytest_memguard.plugin.measured_tests import MeasuredTests
from pytest_memguard.plugin.so_far import PhaseEnd, SoFar
from pytest_memguard.settings import Settings

if TYPE_CHECKING:
    from pytest_memguard.plugin.regressions import RegressionCheck


def fail_with(findings: Iterable[Finding]) -> None:
    """Fail the test with what was found too much, if anything was.

    Raises:
        BudgetExceeded: with a line a breach.
    """
    breaches = [replace(f, raised=True) for f in findings if f.rule == "over-budget"]
    if breaches:
        from pytest_memguard.report.failure import failure_text

        raise Breach(failure_text(breaches, (), None), breaches)


def _warn(item: pytest.Item, text: str, *, failed: bool) -> None:
    """Warn in the name of a test; where warnings are errors, fail with the text alone."""
    try:
        item.warn(MemoryBudgetWarning(text))
    except MemoryBudgetWarning:
        if not failed:
            message = f"MemoryBudgetWarning: {text}"
            raise pytest.fail.Exception(message, pytrace=False) from None


class Found:
    """Acts on findings.

    Args:
        settings: the run's.
        tests: tells whether one is run once more.
        so_far: reads what is known of the one that runs.
        explainer: adds lines to findings.
        regressions: decides about limits that the baseline sets, if there is one.
    """

    def __init__(
        self,
        settings: Settings,
        tests: MeasuredTests,
        so_far: SoFar,
        explainer: Explainer,
        regressions: RegressionCheck | None,
    ) -> None:
        self._regressions = regressions
        self._warns = settings.mode == "warn"
        self._tests = tests
        self._so_far = so_far
        self._explainer = explainer

    def act(self, ended: PhaseEnd, found: Sequence[Finding]) -> None:
        """Tell what was found, and fail the test where that is due.

        Args:
            ended: where it was found.
            found: by the judges.

        Raises:
            BudgetExceeded: if a budget was exceeded.
            MemoryRegression: if it used more than is on record.
            CheckFailed: if a check of another plugin has something against it.
        """
        __tracebackhide__ = True
        item, failed = ended.item, ended.failed
        if not self._tests.runs_again:
            found = self._considered(ended, found)
            breaches = [f for f in found if f.rule == "over-budget"]
            regressed = [f for f in found if self._fails(item, f)]
            violations = [f for f in found if f.rule == "check-failed"]
            explained = [
                replace(
                    self._explainer.explain(ended, finding),
                    raised=not failed and (finding in regressed or not self._warns),
                )
                for finding in breaches + regressed
            ]
            explained += [replace(finding, raised=not failed) for finding in violations]
            self._replace(dict(zip(breaches + regressed + violations, explained, strict=True)))
            fatal = [finding for finding in explained if finding.raised]
            if fatal:
                self._fail(item, fatal)
        for finding in found:
            over = finding.rule == "over-budget" and self._warns
            if finding.rule == "near-budget" or over:
                _warn(item, one_line(f"{finding.text} ({finding.rule})"), failed=failed)

    def _considered(self, ended: PhaseEnd, found: Sequence[Finding]) -> list[Finding]:
        """Findings with what the regression check makes of those that are its own."""
        check, item = self._regressions, ended.item
        if check is None or all(finding.budget.baseline_value is None for finding in found):
            return list(found)
        so_far = self._so_far.outcome(item)
        may_run_again = not ended.failed and ended.phase != "teardown"
        call = self._so_far.state.call
        seconds = call.region.seconds if may_run_again else None
        new: dict[Finding, Finding | None] = {}
        for finding in found:
            if finding.budget.baseline_value is not None:
                mine = replace(finding, sites=self._so_far.relative(finding.sites))
                new[finding] = check.consider(item, mine, so_far, seconds)
        self._replace(new)
        return [kept for finding in found if (kept := new.get(finding, finding)) is not None]

    def _fails(self, item: pytest.Item, finding: Finding) -> bool:
        return self._regressions is not None and self._regressions.fails(item.nodeid, finding)

    def _replace(self, new: Mapping[Finding, Finding | None]) -> None:
        """Put findings, or none, in place of others."""
        state = self._so_far.state
        kept = (new.get(finding, finding) for finding in state.findings)
        state.findings = [finding for finding in kept if finding is not None]

    def _fail(self, item: pytest.Item, fatal: Sequence[Finding]) -> None:
        from pytest_memguard.report.failure import failure_text

        so_far = self._so_far.outcome(item, fatal)
        more = []
        for finding in fatal:
            if finding.budget.baseline_value is not None and self._regressions is not None:
                more += self._regressions.below(finding, so_far)
        text = failure_text(fatal, so_far.stages, so_far.phase("call"), more)
        if any(finding.rule == "over-budget" for finding in fatal):
            raise Breach(text, fatal)
        if all(finding.rule == "check-failed" for finding in fatal):
            raise Violated(text, fatal)
        raise Regressed(text, fatal)
