"""Which limits the baseline sets for a test: by its entry, and by rules of whoever set some."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import pytest

from pytest_memguard.baselines import BaselineEntry, FailRule
from pytest_memguard.errors import ConfigError
from pytest_memguard.judge.limits import limits
from pytest_memguard.metrics import RSS
from pytest_memguard.model import Budget
from pytest_memguard.plugin.marker_problems import problem_lines
from pytest_memguard.rules import DEFAULT, closest, parse_rules

MARKER: Final = "mem_regression"
SIGNATURE: Final = "mem_regression(RULE, ...) or mem_regression(None)"


class RegressionPlanner:
    """Finds the limits that the baseline sets for each test, and gathers what is wrong.

    Args:
        rules: those of the run's settings.
        entries: what is on record, by metric and node id.
    """

    def __init__(
        self, rules: Sequence[FailRule], entries: Mapping[str, Mapping[str, BaselineEntry]]
    ) -> None:
        self._rules = rules
        self._entries = entries
        self._marks: dict[int, tuple[pytest.Mark, Sequence[FailRule] | None]] = {}
        self.problems: list[str] = []

    def formers(self, item: pytest.Item, budgets: Iterable[Budget]) -> tuple[Budget, ...]:
        """Every limit that the baseline sets for a test.

        Args:
            item: the test.
            budgets: those that somebody has set; another metric than resident memory is
                compared where one of them needs it anyway.
        """
        rules = self.rules(item)
        metrics: dict[str, None] = {RSS.name: None}
        metrics.update({b.metric: None for b in budgets if b.covers("call")})
        found: list[Budget] = []
        for metric in metrics:
            entry = self._entries.get(metric, {}).get(item.nodeid)
            if entry is not None:
                found += limits(entry, rules, metric)
        return tuple(found)

    def rules(self, item: pytest.Item) -> tuple[FailRule, ...]:
        """The rules that hold for a test; none where a marker switches them off."""
        levels: list[Sequence[FailRule]] = []
        for node, mark in item.iter_markers_with_node(MARKER):
            level = self._from_mark(item, node, mark)
            if level is None:
                return tuple(rule for rule in closest(*levels) if rule is not DEFAULT)
            levels.append(level)
        return closest(*levels, self._rules)

    def _from_mark(
        self, item: pytest.Item, node: Any, mark: pytest.Mark
    ) -> Sequence[FailRule] | None:
        known = self._marks.get(id(mark))
        if known is not None and known[0] is mark:
            return known[1]
        where = "the marker" if node is item else f"the marker on {node.name}"
        rules: Sequence[FailRule] | None = ()
        try:
            rules = rules_from_mark(mark, where)
        except ConfigError as error:
            self.problems += problem_lines(item, node, mark, error.problems)
        self._marks[id(mark)] = (mark, rules)
        return rules


def marker_problems(items: Iterable[pytest.Item]) -> list[str]:
    """What is wrong with markers, in a run that compares nothing."""
    planner = RegressionPlanner((), {})
    for item in items:
        planner.rules(item)
    return planner.problems


def rules_from_mark(mark: pytest.Mark, where: str) -> Sequence[FailRule] | None:
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
