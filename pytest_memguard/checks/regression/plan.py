"""Which limits the baseline sets for a test: by its entry, and by the rules that hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from pytest_memguard.checks.protocol import MarkedTest, PlacedMarker
from pytest_memguard.errors import ConfigError
from pytest_memguard.judge.limits import limits
from pytest_memguard.model.baselines import BaselineEntry, FailRule
from pytest_memguard.model.measurements import Budget
from pytest_memguard.model.metrics import RSS
from pytest_memguard.options.rules import DEFAULT, closest, parse_rules

MARKER: Final = "mem_regression"
SIGNATURE: Final = "mem_regression(RULE, ...) or mem_regression(None)"
_ON_PEAKS: Final = {"peak", "stage"}


class RegressionPlan(NamedTuple):
    """The limits that the baseline sets for a test."""

    peaks: tuple[Budget, ...]
    """On peaks, of the test and of its stages."""
    growth: Budget | None
    """On what the test leaves behind."""
    leak: Budget | None
    """On what a call leaves behind, in bytes per call."""


class RegressionPlanner:
    """Finds the limits that the baseline sets for each test.

    Args:
        rules: those of the run's settings.
        entries: what the baseline has, by metric and node id.
    """

    def __init__(
        self, rules: Sequence[FailRule], entries: Mapping[str, Mapping[str, BaselineEntry]]
    ) -> None:
        self._rules = rules
        self._entries = entries
        self._marks: dict[int, tuple[Any, Sequence[FailRule] | None]] = {}

    def plan(
        self, test: MarkedTest, budgets: Iterable[Budget], problems: list[str]
    ) -> RegressionPlan | None:
        """Every limit that the baseline sets for a test; ``None`` if it sets none.

        Args:
            test: the test.
            budgets: limits that others set; another metric than resident memory is compared
                where one of them needs it anyway.
            problems: takes a line for everything that is wrong with its markers.
        """
        rules = self.rules(test, problems)
        metrics: dict[str, None] = {RSS.name: None}
        metrics.update({b.metric: None for b in budgets if b.covers("call")})
        found: list[Budget] = []
        for metric in metrics:
            entry = self._entries.get(metric, {}).get(test.nodeid)
            if entry is not None:
                found += limits(entry, rules, metric)
        by_kind = {b.baseline_value.rule.kind: b for b in found if b.baseline_value is not None}
        on_peaks = (
            b for b in found if b.baseline_value and b.baseline_value.rule.kind in _ON_PEAKS
        )
        plan = RegressionPlan(tuple(on_peaks), by_kind.get("growth"), by_kind.get("leak"))
        return plan if any(plan) else None

    def rules(self, test: MarkedTest, problems: list[str]) -> tuple[FailRule, ...]:
        """The rules that hold for a test; none where a marker switches them off."""
        levels: list[Sequence[FailRule]] = []
        for marker in test.marked(MARKER):
            level = self._from_marker(test, marker, problems)
            if level is None:
                return tuple(rule for rule in closest(*levels) if rule is not DEFAULT)
            levels.append(level)
        return closest(*levels, self._rules)

    def _from_marker(
        self, test: MarkedTest, marker: PlacedMarker, problems: list[str]
    ) -> Sequence[FailRule] | None:
        mark = marker.mark
        known = self._marks.get(id(mark))
        if known is not None and known[0] is mark:
            return known[1]
        rules: Sequence[FailRule] | None = ()
        try:
            rules = rules_from_mark(mark, marker.where)
        except ConfigError as error:
            problems += test.problem_lines(marker, error.problems)
        self._marks[id(mark)] = (mark, rules)
        return rules


def rules_from_mark(mark: Any, where: str) -> Sequence[FailRule] | None:
    """The rules of a marker; ``None`` where it switches the comparison off.

    Raises:
        ConfigError: with a sentence for every argument that makes no sense.
    """
    if mark.kwargs or not mark.args:
        msg = f"it takes rules: {SIGNATURE}"
        raise ConfigError(msg)
    if mark.args == (None,):
        return None
    return parse_rules(mark.args, where)
