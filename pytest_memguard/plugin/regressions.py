"""The regression check in a process that runs tests: what a suspect turns out to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import pytest

from pytest_memguard.baselines import BaselineEntry, Change, EnvironmentKey
from pytest_memguard.escapes import one_line
from pytest_memguard.judge.readings import entries
from pytest_memguard.judge.regression import judge_limit
from pytest_memguard.judge.regression_findings import number_finding
from pytest_memguard.judge.slack_thresholds import NEGLIGIBLE_SLACK
from pytest_memguard.leak_sizes import bytes_of_all
from pytest_memguard.leaks import LeakReading
from pytest_memguard.metrics import RSS
from pytest_memguard.model import Budget, Finding, Outcome
from pytest_memguard.plugin.confirm import Confirm
from pytest_memguard.plugin.globs import matcher
from pytest_memguard.plugin.regression_plans import RegressionPlanner
from pytest_memguard.settings import Settings

_ACCEPTED: Final = "; accepted in this run (--mem-accept)"


class RegressionCheck:
    """Decides about tests that use more than is on record.

    Args:
        settings: the run's.
        records: what is on record here, by metric: the environment, and entries by node id.
        file: the baseline, as a message names it.
        root: what paths are shown relative to.
        confirm: measures suspects again, if asked for.
    """

    def __init__(
        self,
        settings: Settings,
        records: Mapping[str, tuple[EnvironmentKey, Mapping[str, BaselineEntry]]],
        file: str,
        root: str,
        confirm: Confirm | None,
    ) -> None:
        known = {metric: of_tests for metric, (_, of_tests) in records.items()}
        self.planner = RegressionPlanner(settings.fail_on, known)
        self._records = records
        self._strict = settings.strict
        self._where = settings.where("strict")
        self._confirm = confirm
        self._file = file
        self._root = root
        self._accepts = [matcher(glob) for glob in settings.accept]

    def accepted(self, nodeid: str) -> bool:
        """Whether a test may use what it uses now."""
        return any(matches(nodeid) for matches in self._accepts)

    def fails(self, nodeid: str, finding: Finding) -> bool:
        """Whether a test fails with a finding that `consider` has returned."""
        if finding.budget.baseline_value is None or self.accepted(nodeid):
            return False
        return self._strict or finding.rule == "regression"

    def consider(
        self, item: pytest.Item, finding: Finding, so_far: Outcome, seconds: float | None
    ) -> Finding | None:
        """What is to be made of a finding about a limit that the baseline sets.

        Args:
            item: the test.
            finding: what the judge said.
            so_far: what was measured of the test so far.
            seconds: what its call took; ``None`` if it must not be measured again.

        Returns:
            The finding as it is to be told; nothing where it has turned out to be none.
        """
        if finding.rule not in {"regression", "undecided"}:
            return finding
        peak = finding.peak
        near = peak is not None and peak.high <= finding.budget.limit + NEGLIGIBLE_SLACK
        if finding.rule == "undecided" and near and self._confirm is None:
            return None  # so little slack does not count where no run can look closer
        if self.accepted(item.nodeid):
            return replace(finding, text=finding.text + _ACCEPTED)
        change = self._change(finding, so_far)
        if change is not None and change.text:
            finding = replace(finding, text=change.text)
        if finding.rule == "regression" and change is not None and change.kind == "unsure":
            finding = replace(finding, rule="unsure")
        if self._confirm is None or finding.peak is None or seconds is None:
            return finding
        return self._confirm.ask(finding, so_far, seconds)

    def below(self, finding: Finding, so_far: Outcome) -> list[str]:
        """What stands below the sentence of a failure.

        Args:
            finding: with its lines, if they are known.
            so_far: what was measured of the test so far.
        """
        from pytest_memguard.report.changes import grown_table

        change = self._change(finding, so_far)
        more = []
        if change is not None and change.lines:
            more.append("Lines that grew:\n" + grown_table(change.lines))
        meant = (
            f"If it is meant to be so: pytest --mem-accept {_quoted(so_far.nodeid)} stores "
            f"what it uses now in {self._file}."
        )
        more.append(one_line(meant))
        return more

    def judge_new(self, item: pytest.Item) -> Finding | None:
        """What a test fails with that the baseline does not have, where that counts."""
        nodeid = item.nodeid
        _, known = self._records[RSS.name]
        if not self._strict or nodeid in known or self.accepted(nodeid):
            return None
        if not self.planner.rules(item):
            return None
        return Finding(
            rule="new-test",
            budget=Budget(limit=0, where=self._where),
            text=f"{self._file} has no numbers of this test, which --mem-strict does not let "
            f"pass: pytest --mem-accept {_quoted(nodeid)} stores them",
            raised=True,
        )

    def judge_leak(self, budget: Budget, reading: LeakReading) -> Finding | None:
        """Compare what a call leaves behind with what is on record."""
        now = bytes_of_all(reading) if reading.verdict.state == "leaking" else 0
        if budget.baseline_value is None or now is None or reading.verdict.state not in _SURE:
            return None
        return number_finding(budget, budget.baseline_value, round(now))

    def _change(self, finding: Finding, so_far: Outcome) -> Change | None:
        record = self._records.get(finding.budget.metric)
        now = entries(so_far, self._root).get(finding.budget.metric)
        if finding.budget.baseline_value is None or record is None or now is None:
            return None
        environment, known = record
        before = known.get(so_far.nodeid)
        if before is None:
            return None
        return judge_limit(so_far.nodeid, environment, finding.budget, before, now)


_SURE: Final = {"clean", "leaking"}


def _quoted(nodeid: str) -> str:
    """A node id as a shell takes it."""
    return "'" + nodeid.replace("'", "'\\''") + "'"
