"""The regression check: a test fails if it uses more than the baseline has of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

from pytest_memguard.checks.globs import matcher
from pytest_memguard.checks.protocol import MarkedTest, Measured, TestCheck
from pytest_memguard.checks.regression.causes_of_run import CausesOfRun, Tracer
from pytest_memguard.checks.regression.plan import RegressionPlan, RegressionPlanner
from pytest_memguard.errors import MemoryRegression
from pytest_memguard.escapes import one_line
from pytest_memguard.judge.budget import not_measured
from pytest_memguard.judge.cold_and_warm import KnownFills, known_fills
from pytest_memguard.judge.grown_parts import grown_stage
from pytest_memguard.judge.readings import entries
from pytest_memguard.judge.regression import judge_limit
from pytest_memguard.judge.regression_findings import number_finding
from pytest_memguard.judge.slack_thresholds import NEGLIGIBLE_SLACK
from pytest_memguard.measure.requirements import Requirements
from pytest_memguard.model.baselines import Baseline, BaselineEntry, Change, EnvironmentKey
from pytest_memguard.model.cause_groups import LEAST_SHARE
from pytest_memguard.model.leak_sizes import bytes_of_all
from pytest_memguard.model.leaks import LeakReading
from pytest_memguard.model.measurements import Budget, Finding, PhaseName
from pytest_memguard.model.metrics import OWN, RSS
from pytest_memguard.model.results import Outcome
from pytest_memguard.options.settings import Settings

if TYPE_CHECKING:
    from pytest_memguard.checks.protocol import Limits

_ACCEPTED: Final = "; accepted in this run (--mem-accept)"


class Confirm(Tracer, Protocol):
    """Measures a test again, where no other test has left anything."""

    def ask(
        self,
        finding: Finding,
        so_far: Outcome,
        seconds: float,
        known: KnownFills,
        explained: Sequence[tuple[int, int]] = (),
    ) -> Finding | None:
        """The finding as it is after the test has been measured again."""


class RegressionCheck(TestCheck):
    """Holds tests against the baseline.

    Args:
        settings: the settings of the run.
        records: what is on record here, by metric: the environment, and entries by node id.
        old: all that is on record.
        file: the baseline, as a message names it.
        root: what paths are shown relative to.
        confirm: measures suspects again, if asked for.
    """

    name = "regression"
    error = MemoryRegression
    shares_plans = False

    def __init__(
        self,
        settings: Settings,
        records: Mapping[str, tuple[EnvironmentKey, Mapping[str, BaselineEntry]]],
        old: Baseline,
        file: str,
        root: str,
        confirm: Confirm | None,
    ) -> None:
        known = {metric: of_tests for metric, (_, of_tests) in records.items()}
        self._planner = RegressionPlanner(settings.fail_on, known)
        self._records = records
        self._old = old
        self._fills: KnownFills | None = None
        self._filled: set[str] = set()
        self._strict = settings.strict
        self._where = settings.where("strict")
        self._confirm = confirm
        tracer = confirm if settings.explain != "never" else None
        self._causes = CausesOfRun(tracer, root)
        self._file = file
        self._root = root
        self._accepts = [matcher(glob) for glob in settings.accept]

    def accepted(self, nodeid: str) -> bool:
        """Whether a test may use what it uses now."""
        return any(matches(nodeid) for matches in self._accepts)

    def plan(
        self, test: MarkedTest, limits: Limits, problems: list[str]
    ) -> RegressionPlan | None:
        """The limits that the baseline sets for a test; ``None`` if it sets none."""
        return self._planner.plan(test, limits(), problems)

    def requirements(self, plan: RegressionPlan) -> Requirements:
        """What has to be measured to judge by limits of the baseline."""
        return Requirements(limits=plan.peaks, growth=plan.growth is not None)

    def judge(
        self, plan: RegressionPlan | None, measured: Measured, phase: PhaseName
    ) -> list[Finding]:
        """What there is to say about limits of the baseline when a phase has ended."""
        if plan is None:
            return []
        found = measured.judge_limits(self._after_others(plan.peaks, phase))
        limit = plan.growth
        if phase == "teardown" and limit is not None and limit.baseline_value is not None:
            _, growth = (0, 0) if measured.lost else measured.peak_and_growth()
            grown = (
                not_measured(limit, measured.lost)
                if measured.lost
                else number_finding(limit, limit.baseline_value, growth)
            )
            found += [grown] if grown is not None else []
        return found

    def _after_others(self, limits: tuple[Budget, ...], phase: PhaseName) -> tuple[Budget, ...]:
        """Limits as they are where earlier tests of this process have filled something.

        Args:
            limits: on the peaks of a test.
            phase: the one that has ended; the call fills what is on record.
        """
        holders = {
            fill.holder
            for limit in limits
            if limit.baseline_value is not None
            for fill in limit.baseline_value.fills
        }
        if holders & self._filled:
            limits = tuple(map(_filled, limits))
        if phase == "call":
            self._filled |= holders
        return limits

    def owns(self, finding: Finding) -> bool:
        """Whether a finding is about a limit that the baseline sets, or lacks."""
        return finding.budget.baseline_value is not None or finding.rule == "new-test"

    def is_breach(self, nodeid: str, finding: Finding) -> bool:
        """Whether a test fails with a finding that `consider` has returned."""
        if finding.budget.baseline_value is None or self.accepted(nodeid):
            return False
        if finding.rule == "known-fill":
            return False
        return self._strict or finding.rule == "regression"

    def consider(
        self, finding: Finding, so_far: Outcome, seconds: float | None
    ) -> Finding | None:
        """What is to be made of a finding about a limit that the baseline sets.

        Args:
            finding: the finding of the judge.
            so_far: what was measured of the test so far.
            seconds: what its call took; ``None`` if it must not be measured again.

        Returns:
            The finding as it is reported; nothing where it has turned out to be none.
        """
        if finding.rule not in {"regression", "undecided"}:
            return finding
        peak, limit = finding.peak, finding.budget.limit
        near = peak is not None and limit < peak.high <= limit + NEGLIGIBLE_SLACK
        if finding.rule == "undecided" and near and self._confirm is None:
            return None  # so little slack does not count where no run can measure more exactly
        if self.accepted(so_far.nodeid):
            return replace(finding, text=finding.text + _ACCEPTED)
        change = self._change(finding, so_far)
        if change is not None and change.text:
            finding = replace(finding, text=change.text)
        if finding.rule == "regression" and change is not None and change.kind == "undecided":
            finding = replace(finding, rule="undecided")
        confirmed: Finding | None = finding
        asks = self._confirm is not None and _can_be_confirmed(finding)
        asks = asks and not self._causes.is_explained(finding, change, so_far)
        if asks and self._confirm is not None and seconds is not None:
            explained = self._causes.explained_peaks(finding, so_far)
            confirmed = self._confirm.ask(
                finding, so_far, seconds, self._known_fills(), explained
            )
        if confirmed is None or seconds is None or (asks and confirmed.cause is None):
            return confirmed
        stage = self._grown_stage(confirmed, so_far)
        return self._causes.placed(confirmed, change, stage, so_far, seconds)

    def _known_fills(self) -> KnownFills:
        """What the tests on record fill, as their resident memory has shown; made once."""
        if self._fills is None:
            environment, known = self._records[RSS.name]
            self._fills = known_fills(
                known,
                is_complete=environment in self._old.measured_cold,
                loaded=self._old.loaded.get(environment),
                together=self._old.filled.get(environment, ()),
                has_shared=environment in self._old.measured_together,
            )
        return self._fills

    def below(self, finding: Finding, so_far: Outcome) -> list[str]:
        """What stands below the sentence of a failure.

        Args:
            finding: with its lines, if they are known.
            so_far: what was measured of the test so far.
        """
        from pytest_memguard.report.changes import grown_table

        if finding.cause is not None and finding.cause.first:
            return []
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

    def after_call(self, test: MarkedTest) -> Finding | None:
        """What a test fails with that the baseline does not have, where that counts."""
        nodeid = test.nodeid
        _, known = self._records[RSS.name]
        if not self._strict or nodeid in known or self.accepted(nodeid):
            return None
        if not self._planner.rules(test, []):
            return None
        return Finding(
            rule="new-test",
            budget=Budget(limit=0, where=self._where),
            text=f"{self._file} has no numbers of this test, which --mem-strict does not let "
            f"pass: pytest --mem-accept {_quoted(nodeid)} stores them",
            raised=True,
        )

    def judge_leak(self, plan: RegressionPlan | None, reading: LeakReading) -> list[Finding]:
        """Compare what a call leaves behind with what the baseline has."""
        limit = plan.leak if plan is not None else None
        now = bytes_of_all(reading) if reading.verdict.state == "leaking" else 0
        if limit is None or limit.baseline_value is None:
            return []
        if now is None or reading.verdict.state not in _SURE:
            return []
        finding = number_finding(limit, limit.baseline_value, round(now))
        return [finding] if finding is not None else []

    def _change(self, finding: Finding, so_far: Outcome) -> Change | None:
        compared = self._before_and_now(finding, so_far)
        if compared is None:
            return None
        environment, _ = self._records[finding.budget.metric]
        return judge_limit(so_far.nodeid, environment, finding.budget, *compared)

    def _grown_stage(self, finding: Finding, so_far: Outcome) -> str:
        """The stage that accounts for most of a test's growth; empty if there is none."""
        if finding.budget.stage is not None:
            return finding.budget.stage
        compared = self._before_and_now(finding, so_far)
        grown = grown_stage(compared[0].stages, compared[1].stages) if compared else None
        if compared is None or grown is None:
            return ""
        was, stage = grown
        growth = stage.peak - (was.peak if was is not None else 0)
        of_test = compared[1].peak - compared[0].peak
        return stage.path if growth >= LEAST_SHARE * of_test else ""

    def _before_and_now(
        self, finding: Finding, so_far: Outcome
    ) -> tuple[BaselineEntry, BaselineEntry] | None:
        """What is on record of the test and its numbers now, if both have the metric."""
        record = self._records.get(finding.budget.metric)
        now = entries(so_far, self._root).get(finding.budget.metric)
        if finding.budget.baseline_value is None or record is None or now is None:
            return None
        before = record[1].get(so_far.nodeid)
        return None if before is None else (before, now)


_SURE: Final = {"clean", "leaking"}


def _filled(limit: Budget) -> Budget:
    """A limit of the baseline on a test some of whose fills another has made."""
    stored = limit.baseline_value
    if stored is None or not stored.fills:
        return limit
    return replace(limit, baseline_value=replace(stored, is_filled=True))


def _can_be_confirmed(finding: Finding) -> bool:
    """Whether a forked child can measure what a finding is about."""
    stored = finding.budget.baseline_value
    is_leak = stored is not None and stored.rule.kind == "leak"
    return finding.budget.metric in OWN and not is_leak


def _quoted(nodeid: str) -> str:
    """A node id as a shell takes it."""
    return "'" + nodeid.replace("'", "'\\''") + "'"
