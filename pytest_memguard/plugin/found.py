"""What the judges found in a phase: considered, explained, reported, and raised in the test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_memguard.errors import MemoryBudgetWarning
from pytest_memguard.escapes import one_line
from pytest_memguard.model.measurements import Finding
from pytest_memguard.plugin.explainer import Explainer
from pytest_memguard.plugin.failures import Breach, printed
from pytest_memguard.plugin.measured_tests import MeasuredTests
from pytest_memguard.plugin.so_far import PhaseEnd, SoFar

if TYPE_CHECKING:
    from pytest_memguard.checks.planned import Checks
    from pytest_memguard.checks.protocol import TestCheck


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
        tests: knows whether one is run once more.
        so_far: reads what is known of the one that runs.
        explainer: adds lines to findings.
        checks: own the findings.
    """

    def __init__(
        self, tests: MeasuredTests, so_far: SoFar, explainer: Explainer, checks: Checks
    ) -> None:
        self._checks = checks
        self._tests = tests
        self._so_far = so_far
        self._explainer = explainer

    def act(self, ended: PhaseEnd, found: Sequence[Finding]) -> None:
        """Report what was found, and fail the test where that is due.

        Args:
            ended: where it was found.
            found: by the checks.

        Raises:
            BudgetExceeded: if a budget was exceeded.
            MemoryRegression: if it used more than the baseline has of it.
            CheckFailed: if a check of another plugin has something against it.
        """
        __tracebackhide__ = True
        item, failed = ended.item, ended.failed
        if not self._tests.runs_again:
            found = self._considered(ended, found)
            breaches = [
                (check, finding)
                for check, finding in self._checks.by_owner(found)
                if check.is_breach(item.nodeid, finding)
            ]
            explained = [self._explained(ended, check, one) for check, one in breaches]
            self._replace(
                dict(zip((finding for _, finding in breaches), explained, strict=True))
            )
            fatal = [finding for finding in explained if finding.raised]
            if fatal:
                self._fail(item, fatal)
        for finding in found:
            if self._checks.owner(finding).warns(finding):
                _warn(item, one_line(f"{finding.text} ({finding.rule})"), failed=failed)

    def _explained(self, ended: PhaseEnd, check: TestCheck, finding: Finding) -> Finding:
        """A breach with what explains it, and with whether the test fails with it."""
        if check.explains:
            finding = self._explainer.explain(ended, finding)
        return replace(finding, raised=not (ended.failed or check.only_warns))

    def _considered(self, ended: PhaseEnd, found: Sequence[Finding]) -> list[Finding]:
        """Findings with what the checks make of them before a test fails."""
        so_far = self._so_far.outcome(ended.item)
        may_run_again = not ended.failed
        seconds = self._so_far.state.call.region.seconds if may_run_again else None
        new = {
            finding: self._checks.owner(finding).consider(
                replace(finding, sites=self._so_far.relative(finding.sites)), so_far, seconds
            )
            for finding in found
        }
        self._replace(new)
        return [kept for finding in found if (kept := new[finding]) is not None]

    def _replace(self, new: Mapping[Finding, Finding | None]) -> None:
        """Put findings, or none, in place of others."""
        state = self._so_far.state
        kept = (new.get(finding, finding) for finding in state.findings)
        state.findings = [finding for finding in kept if finding is not None]

    def _fail(self, item: pytest.Item, fatal: Sequence[Finding]) -> None:
        """Fail the test with everything that does, as the first check among them does it."""
        from pytest_memguard.report.failure import failure_text

        so_far = self._so_far.outcome(item, fatal)
        owners = [self._checks.owner(finding) for finding in fatal]
        more = [
            line
            for check, finding in zip(owners, fatal, strict=True)
            for line in check.below(finding, so_far)
        ]
        text = failure_text(fatal, so_far.stages, so_far.phase("call"), more)
        error = printed(owners[0].error)(text, fatal)
        stopped = self._so_far.state.stopped
        raise error if stopped is None else stopped.shown_by(error)
