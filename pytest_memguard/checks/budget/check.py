"""The budget check: a test fails if its peak memory is above a limit that the user has set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from pytest_memguard.checks.budget.marker import MARKER, budget_from_mark
from pytest_memguard.checks.protocol import MarkedTest, Measured, PlacedMarker, TestCheck
from pytest_memguard.errors import BudgetExceeded, ConfigError
from pytest_memguard.judge.budget import not_measured, uncovered_setup
from pytest_memguard.measure.requirements import Requirements
from pytest_memguard.model.measurements import Budget, Finding, PhaseName
from pytest_memguard.model.metrics import RSS
from pytest_memguard.model.results import Gap
from pytest_memguard.options.settings import Settings, default_budgets

if TYPE_CHECKING:
    from pytest_memguard.checks.globs import Patterns
    from pytest_memguard.checks.protocol import Limits
    from pytest_memguard.model.results import Outcome

BudgetPlan: TypeAlias = tuple[Budget, ...]
"""Every limit that the user has set for a test."""

_DEFAULT_KEY: Final = (RSS.name, "call", None)
_BREACHES: Final = frozenset({"over-budget", "hard-limit"})
_OPEN: Final = frozenset({"undecided", "not-measured"})
"""Rules for a budget of which it is not known whether it was kept."""
_MOST_NEAREST: Final = 5
"""For so many patterns that match no test the nearest that would is looked for."""
_RULES: Final = {
    "over-budget",
    "hard-limit",
    "near-budget",
    "undecided",
    "not-measured",
    "stage-not-run",
}


class SecondMeasurement(Protocol):
    """Measures a test again, where no other test has left anything."""

    def settle(
        self, finding: Finding, so_far: Outcome, seconds: float | None
    ) -> Finding | None:
        """The finding as it is after the test has been measured again, where that helps."""


class BudgetCheck(TestCheck):
    """Holds tests against budgets from markers, patterns, flags and ini keys.

    Args:
        settings: defaults, patterns, and whether breaches only warn.
        again: measures tests again whose budgets could not be judged, if anything does.
    """

    name = "budget"
    error = BudgetExceeded

    def __init__(self, settings: Settings, again: SecondMeasurement | None = None) -> None:
        self._again = again
        self.only_warns = settings.mode == "warn"
        self._failing = _BREACHES | (_OPEN if settings.strict else frozenset())
        self._warn = settings.warn
        self._hard = settings.hard
        self._default = {budget.key: budget for budget in default_budgets(settings)}
        self._default_plan = tuple(b for b in self._default.values() if b.limit) or None
        self._of_patterns = [
            Budget(
                limit=pattern.limit,
                where=f"the pattern {pattern.glob!r} of {settings.where('budgets')}",
                warn=settings.warn,
                hard=settings.hard,
            )
            for pattern in settings.budgets
        ]
        self._globs = [pattern.glob for pattern in settings.budgets]
        self._patterns = _patterns(self._globs)
        self._matched: set[int] = set()
        self._tests: list[str] = []
        self._marks: dict[int, tuple[Any, Budget | None]] = {}

    def default_plan(self) -> BudgetPlan | None:
        """The budgets of a test without markers that no pattern names."""
        return self._default_plan

    def plan(
        self,
        test: MarkedTest,
        limits: Limits,
        problems: list[str],
    ) -> BudgetPlan | None:
        """The budgets of one test, or ``None`` where none holds."""
        markers = test.marked(MARKER)
        if not (markers or self._patterns):
            return self._default_plan
        chosen = dict(self._default)
        if self._patterns:
            self._tests.append(test.nodeid)
            covering = self._patterns.covering(test.nodeid)
            self._matched.update(covering)
            if covering:
                chosen[_DEFAULT_KEY] = self._of_patterns[covering[-1]]
        marked: dict[tuple[str, str, str | None], Budget] = {}
        for marker in markers:
            marked_budget = self._from_marker(test, marker, problems)
            if marked_budget is not None:
                marked.setdefault(marked_budget.key, marked_budget)
        chosen.update(marked)
        return tuple(budget for budget in chosen.values() if budget.limit) or None

    def requirements(self, plan: BudgetPlan) -> Requirements:
        """What has to be measured to judge by budgets."""
        return Requirements(limits=plan)

    def judge(
        self,
        plan: BudgetPlan | None,
        measured: Measured,
        phase: PhaseName,
    ) -> list[Finding]:
        """What there is to say about budgets, and about those that stages bring along."""
        return measured.judge_limits(plan or ()) + measured.judge_stage_budgets()

    def too_late(
        self,
        test: MarkedTest,
        markers: Sequence[PlacedMarker],
        reason: str,
        problems: list[str],
    ) -> list[Finding]:
        """A finding for each budget that the test has added when it was too late."""
        late = [marker for marker in markers if marker.mark.name == MARKER]
        budgets = [self._from_marker(test, marker, problems) for marker in late]
        return [not_measured(budget, reason) for budget in budgets if budget is not None]

    def owns(self, finding: Finding) -> bool:
        """Whether a finding is about a budget."""
        mine = finding.budget.baseline_value is None and not finding.check
        return mine and finding.rule in _RULES

    def consider(
        self, finding: Finding, so_far: Outcome, seconds: float | None
    ) -> Finding | None:
        """The finding, or what a second measurement makes of it."""
        return finding if self._again is None else self._again.settle(finding, so_far, seconds)

    def is_breach(self, nodeid: str, finding: Finding) -> bool:
        """Whether a budget was exceeded, or the test stopped before; if strict, or unknown."""
        return finding.rule in self._failing

    def warns(self, finding: Finding) -> bool:
        """Whether a budget was nearly exceeded, or exceeded where that only warns."""
        over = finding.rule == "over-budget" and self.only_warns
        return finding.rule == "near-budget" or over

    def notes(self, plan: BudgetPlan | None, uncovered: int | None) -> list[str]:
        """That setup rose above a budget that covers the call alone, if it did."""
        if plan is None or uncovered is None:
            return []
        return [uncovered_setup(plan, uncovered)]

    def complete(self, outcome: Outcome, plan: BudgetPlan | None) -> Outcome:
        """Add the budgets of the test."""
        return outcome if plan is None else replace(outcome, budgets=plan)

    def completes_others(self) -> bool:
        """No test without budgets."""
        return False

    def has_unused(self) -> bool:
        """Whether none of the tests planned so far fell under one of the patterns."""
        return len(self._matched) < len(self._globs)

    def unused(self) -> list[Gap]:
        """The patterns that none of the tests planned so far fell under."""
        unmatched = [g for place, g in enumerate(self._globs) if place not in self._matched]
        from pytest_memguard.checks.budget.nearest import nearest_patterns

        nearest = nearest_patterns(unmatched[:_MOST_NEAREST], self._tests)
        return [
            Gap(
                subject=f"the pattern {glob!r} of mem_budgets",
                reason=f"it matches no test{end}",
            )
            for glob, end in zip_longest(unmatched, nearest, fillvalue="")
        ]

    def _from_marker(
        self, test: MarkedTest, marker: PlacedMarker, problems: list[str]
    ) -> Budget | None:
        mark = marker.mark
        known = self._marks.get(id(mark))
        if known is not None and known[0] is mark:
            return known[1]
        limit = mark.args[0] if mark.args else mark.kwargs.get("limit")
        budget: Budget | None = None
        try:
            parameters: Mapping[str, object] | None = test.parameters()
            budget = budget_from_mark(
                mark.args, mark.kwargs, parameters, marker.where, hard=self._hard
            )
            if budget.warn is None:
                budget = replace(budget, warn=self._warn)
        except ConfigError as error:
            problems += test.problem_lines(marker, error.problems)
        if not callable(limit):
            self._marks[id(mark)] = (mark, budget)
        return budget


def _patterns(globs: Sequence[str]) -> Patterns | None:
    if not globs:
        return None
    from pytest_memguard.checks.globs import Patterns  # few suites have any

    return Patterns(globs)
