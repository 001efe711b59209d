"""Measures tests again in a fresh process where their budgets are exceeded, or not decided."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, Literal

import pytest

from pytest_memguard.clock import Clock
from pytest_memguard.judge.slack_thresholds import LARGEST_TIGHT, can_be_measured_again
from pytest_memguard.measure.screen import Screen
from pytest_memguard.measure.time_share import TimeShare
from pytest_memguard.plugin.fresh.fresh_process import FreshProcess, can_fork
from pytest_memguard.plugin.property_readers import properties_are_read
from pytest_memguard.values import dataclass

if TYPE_CHECKING:
    from pytest_memguard.checks.planned import TestPlan
    from pytest_memguard.measure.tracker_share import TrackerShare
    from pytest_memguard.model.measurements import Budget, Finding
    from pytest_memguard.model.results import Outcome
    from pytest_memguard.options.settings import Settings
    from pytest_memguard.plugin.fresh.measured_again import Again

_NO_TIME: Final = (
    "memray was not used, since it would have taken more than {share:.0%} of the run's time "
    "({where})"
)


_ALWAYS_MEASURED: Final = 20
"""Tests above their budgets that are measured again whatever share of the time that takes: more
of them are likely to have one cause."""

Reason = Literal["slack", "breach", "no time"]
"""Why a test was measured again: slack, or a breach; or that it was not, though it would have
been if there had been time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredAgain:
    """A test that was measured again, since its budget was exceeded, or could not be judged."""

    nodeid: str
    """The test."""
    seconds: float
    """How long that took."""
    avoided_by: int
    """The smallest budget, in bytes, that its own run would have settled."""
    reason: Reason = "slack"
    """Why."""

    def row(self) -> tuple[Any, ...]:
        """What travels between processes: the fields in their order."""
        return self.nodeid, self.seconds, self.avoided_by, self.reason


class FreshBudgets:
    """Has budgets judged in a process that was forked before the first test.

    Args:
        settings: the settings of the run.

    Attributes:
        tests: those that were measured again.
        screen: decides whether slack may stay where it is.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process: FreshProcess | None = None
        self._in_doubt: FreshProcess | None = None
        self._share: TrackerShare | None = None
        self._reads_peaks = settings.reads_peaks
        self._breach_share = TimeShare(settings.confirm_share, 0.0, apart=True)
        self._breaches = 0
        self._latest: tuple[str, Budget] | None = None
        self._not_confirmed: tuple[str, Budget, int] | None = None
        self.tests: list[MeasuredAgain] = []
        self.screen = Screen(lambda: _can_answer(self._in_doubt) and not self._reads_peaks)

    def is_ready(self) -> bool:
        """Whether there is such a process, and time for it to measure a test."""
        return _can_answer(self._process)

    def begin(
        self,
        config: pytest.Config,
        plans: Iterable[TestPlan],
        share: TrackerShare,
        process_for: Callable[[pytest.Config], FreshProcess],
    ) -> None:
        """Have the process forked before the first test, if any budget may need it.

        Args:
            config: the configuration of pytest.
            plans: of the tests.
            share: knows which tests had to go without memray.
            process_for: returns the process of the run, or makes it.
        """
        self._share = share
        self._reads_peaks |= properties_are_read(config.pluginmanager)
        if not self._settings.confirm or not can_fork():
            return
        limits = [limit for plan in plans for limit in plan.requirements.limits]
        tight = [limit for limit in limits if _is_tight(limit)]
        if any(limit.baseline_value is None for limit in tight):
            self._process = process_for(config)
        if tight:  # suspects of a comparison are measured there as well
            self._in_doubt = self._process or process_for(config)

    def settle(
        self, finding: Finding, so_far: Outcome, seconds: float | None
    ) -> Finding | None:
        """A finding on a budget as it is after the test has been measured again.

        Args:
            finding: the finding of the judge.
            so_far: what was measured of the test so far.
            seconds: what its call took; ``None`` if it must not be run again.

        Returns:
            Nothing if the test is within its budget.
        """
        if finding.rule == "over-budget":
            return self._confirmed(finding, so_far, seconds)
        if finding.rule != "undecided":
            return finding
        from pytest_memguard.judge.fresh_budget import is_open, without_memray

        settled: Finding | None = finding
        process = self._process
        if (
            process is not None
            and process.is_ready
            and seconds is not None
            and is_open(finding)
        ):
            key = (so_far.nodeid, finding.budget)
            if key == self._latest and so_far.phase("teardown") is not None:
                return None  # a stage is judged at the end of each phase
            self._latest = key
            settled = self._judged_again(process, finding, so_far, seconds)
        if settled is not None and settled.rule == "undecided" and self._had_no_time(so_far):
            settings = self._settings
            share, where = settings.tracker_share or 0.0, settings.where("tracker_share")
            settled = without_memray(settled, _NO_TIME.format(share=share, where=where))
        return settled

    def _judged_again(
        self, process: FreshProcess, finding: Finding, so_far: Outcome, seconds: float
    ) -> Finding | None:
        """A finding as it is after the fresh process has measured the test, if it may."""
        from pytest_memguard.judge.fresh_budget import after_fresh

        refusal = process.refusal(so_far.nodeid)
        if refusal:
            return after_fresh(finding, None, refusal)
        again = self._asked(process, finding, so_far, seconds, "slack")
        return after_fresh(finding, again.calls, again.problem)

    def _confirmed(
        self, finding: Finding, so_far: Outcome, seconds: float | None
    ) -> Finding | None:
        """A breach as it is after the fresh process has measured the test, if it may."""
        process, peak = self._process, finding.peak
        if process is None or not process.is_ready or seconds is None or peak is None:
            return finding
        from pytest_memguard.judge.fresh_budget import after_breach, may_depend_on_others

        if not may_depend_on_others(finding) or process.must_not_run_again(so_far.nodeid):
            return finding
        key = (so_far.nodeid, finding.budget, peak.value)
        if key == self._not_confirmed:
            return None  # a stage is judged at the end of each phase
        if not process.has_time or not self._has_time_for_breach():
            self.tests.append(
                MeasuredAgain(nodeid=so_far.nodeid, seconds=0.0, avoided_by=0, reason="no time")
            )
            return finding
        self._breaches += 1
        again = self._asked(process, finding, so_far, seconds, "breach")
        self._breach_share.note(self.tests[-1].seconds)
        result = after_breach(finding, again.calls, again.problem)
        self._not_confirmed = key if result.rule == "undecided" else None
        return result

    def _has_time_for_breach(self) -> bool:
        return self._breaches < _ALWAYS_MEASURED or self._breach_share.allows()

    def _asked(
        self,
        process: FreshProcess,
        finding: Finding,
        so_far: Outcome,
        seconds: float,
        reason: Reason,
    ) -> Again:
        """What the fresh process says about what a finding is on."""
        from pytest_memguard.plugin.fresh.measured_again import again_from, peak_of

        budget, start = finding.budget, Clock.seconds()
        enough = budget.limit if reason == "slack" else sys.maxsize
        answer = process.ask(so_far, seconds, enough=enough, foreign=True)
        again = again_from(answer, lambda outcome: peak_of(outcome, budget))
        took = Clock.seconds() - start
        high = finding.peak.high if finding.peak is not None else 0
        self.tests.append(
            MeasuredAgain(nodeid=so_far.nodeid, seconds=took, avoided_by=high, reason=reason)
        )
        return again

    def add(self, test: MeasuredAgain) -> None:
        """Add a test that was measured again in a forked child of this process."""
        self.tests.append(test)
        if self._process is not None:
            self._process.note(test.seconds)

    def take_tests(self) -> list[MeasuredAgain]:
        """Return the tests that were measured again, and forget them."""
        tests, self.tests = self.tests, []
        return tests

    def _had_no_time(self, so_far: Outcome) -> bool:
        return self._share is not None and so_far.nodeid in self._share.refused


def _is_tight(budget: Budget) -> bool:
    """Whether slack may keep a budget from being judged, and a fresh process may judge it."""
    return budget.limit <= LARGEST_TIGHT and can_be_measured_again(budget)


def _can_answer(process: FreshProcess | None) -> bool:
    """Whether there is a fresh process, and time for it to measure a test."""
    return process is not None and process.is_ready and process.has_time
