"""What to measure for each test: its budgets, from markers, patterns, flags and ini keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias, get_args

import pytest

from pytest_memguard.errors import ConfigError, quoted
from pytest_memguard.measure.requirements import Requirements
from pytest_memguard.metrics import METRICS, RSS, metric_named
from pytest_memguard.model import (
    Budget,
    BudgetPhase,
    Threads,
)
from pytest_memguard.plugin.marker_problems import problem_lines
from pytest_memguard.settings import Settings, default_budgets
from pytest_memguard.units import parse_count, parse_share, parse_size
from pytest_memguard.values import dataclass

if TYPE_CHECKING:
    from pytest_memguard.plugin.foreign_checks import ForeignChecks
    from pytest_memguard.plugin.regression_plans import RegressionPlanner

_Key: TypeAlias = tuple[tuple["Budget", ...], tuple["Budget", ...], "frozenset[str] | None"]
"""What tests that share a plan have in common."""

MARKER: Final = "mem_budget"
SIGNATURE: Final = (
    "mem_budget(limit, *, metric='rss', phase='call', stage=None, warn=None, threads='all')"
)
_DEFAULT_KEY: Final = (RSS.name, "call", None)
_ON_PEAKS: Final = {"peak", "stage"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one test, or many with the same budgets, must be measured for."""

    budgets: tuple[Budget, ...]
    """Every limit that somebody has set."""
    compared: bool
    """Whether the baseline sets any limit."""
    growth: Budget | None
    """The limit that the baseline sets on what the test leaves behind."""
    leak: Budget | None
    """The limit that it sets on what a call leaves behind, in bytes per call."""
    requirements: Requirements
    """What has to be measured for them, and for checks of other plugins."""


def make_plan(
    budgets: Iterable[Budget],
    formers: Iterable[Budget] = (),
    extra: frozenset[str] | None = None,
) -> Plan:
    """Work out what a set of budgets needs.

    Args:
        budgets: those that somebody has set.
        formers: those that the baseline sets.
        extra: metrics that checks of other plugins read in all phases, if there are any.
    """
    budgets, formers = tuple(budgets), tuple(formers)
    by_kind = {b.baseline_value.rule.kind: b for b in formers if b.baseline_value is not None}
    on_peaks = tuple(
        b for b in formers if b.baseline_value and b.baseline_value.rule.kind in _ON_PEAKS
    )
    return Plan(
        budgets=budgets,
        growth=by_kind.get("growth"),
        leak=by_kind.get("leak"),
        compared=bool(on_peaks) or "growth" in by_kind or "leak" in by_kind,
        requirements=Requirements(
            limits=budgets + on_peaks,
            metrics=extra or frozenset(),
            readings=extra is not None,
        ),
    )


class Planner:
    """Finds each test's plan, and gathers what is wrong with markers on the way.

    Args:
        settings: defaults and patterns.
        regressions: finds the limits that the baseline sets, where tests are compared.
        checks: plans tests for the checks of other plugins, where there are any.
    """

    def __init__(
        self,
        settings: Settings,
        regressions: RegressionPlanner | None = None,
        checks: ForeignChecks | None = None,
    ) -> None:
        self._settings = settings
        self._checks = checks
        self._regressions = regressions
        self._default = {budget.key: budget for budget in default_budgets(settings)}
        self._patterns = [
            (
                pattern.glob,
                _matcher(pattern.glob),
                Budget(
                    limit=pattern.limit,
                    where=f"the pattern {pattern.glob!r} of {settings.where('budgets')}",
                    warn=settings.warn,
                ),
            )
            for pattern in settings.budgets
        ]
        self._matched: set[str] = set()
        self._plans: dict[_Key, Plan] = {}
        self._marks: dict[int, tuple[pytest.Mark, Budget | None]] = {}
        self.problems: list[str] = []

    def unmatched(self) -> list[str]:
        """The patterns that none of the tests planned so far fell under."""
        return [glob for glob, _, _ in self._patterns if glob not in self._matched]

    def plan(self, item: pytest.Item) -> Plan | None:
        """The plan of one test, or ``None`` where no budget holds."""
        chosen = dict(self._default)
        for glob, matches, budget in self._patterns:
            if matches(item.nodeid):
                self._matched.add(glob)
                chosen[_DEFAULT_KEY] = budget
        marked: dict[tuple[str, str, str | None], Budget] = {}
        marks = list(item.iter_markers_with_node(MARKER))
        if len(marks) > 1:
            # pytest lists a parameter's marks behind those of its function
            of_parameters = getattr(getattr(item, "callspec", None), "marks", ())
            marks.sort(key=lambda pair: not any(pair[1] is mark for mark in of_parameters))
        for node, mark in marks:
            marked_budget = self._from_mark(item, node, mark)
            if marked_budget is not None:
                marked.setdefault(marked_budget.key, marked_budget)
        chosen.update(marked)
        budgets = tuple(budget for budget in chosen.values() if budget.limit)
        formers: tuple[Budget, ...] = ()
        if self._regressions is not None:
            formers = self._regressions.formers(item, budgets)
        extra = None
        if self._checks is not None:
            extra = self._checks.metrics_of(item, self.problems)
        if not budgets and not formers and extra is None:
            return None
        # tests of the same budgets share a plan, and many have the same numbers on record
        plan = self._plans.get((budgets, formers, extra))
        if plan is None:
            plan = self._plans[budgets, formers, extra] = make_plan(budgets, formers, extra)
        return plan

    def budget_of(self, item: pytest.Item, mark: pytest.Mark) -> Budget | None:
        """The budget of a marker of the test's own; ``None``, and a problem, if it is none."""
        return self._from_mark(item, item, mark)

    def _from_mark(self, item: pytest.Item, node: Any, mark: pytest.Mark) -> Budget | None:
        known = self._marks.get(id(mark))
        if known is not None and known[0] is mark:
            return known[1]
        where = "the marker" if node is item else f"the marker on {node.name}"
        limit = mark.args[0] if mark.args else mark.kwargs.get("limit")
        try:
            budget = budget_from_mark(mark.args, mark.kwargs, _params(item), where)
            if budget.warn is None:
                budget = replace(budget, warn=self._settings.warn)
        except ConfigError as error:
            budget = None
            self.problems += problem_lines(item, node, mark, error.problems)
        if not callable(limit):
            self._marks[id(mark)] = (mark, budget)
        return budget


def _matcher(glob: str) -> Callable[[str], bool]:
    from pytest_memguard.plugin.globs import matcher  # few suites have patterns

    return matcher(glob)


def _params(item: pytest.Item) -> Mapping[str, object] | None:
    callspec = getattr(item, "callspec", None)
    return None if callspec is None else callspec.params


def budget_from_mark(
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
    params: Mapping[str, object] | None,
    where: str,
) -> Budget:
    """Turn a marker's arguments into a budget.

    Args:
        args: positional ones; the limit.
        kwargs: named ones.
        params: the test's parameters, for a limit that is a function of them.
        where: the budget's source, for messages.

    Raises:
        ConfigError: with a sentence for every argument that makes no sense.
    """
    named = dict(kwargs)
    problems: list[str] = []
    in_metric: list[str] = []
    metric = metric_named(
        _choice("metric", named.pop("metric", RSS.name), tuple(METRICS), in_metric)
    )
    limit = 0
    if len(args) + ("limit" in named) != 1:
        problems.append(f"it takes one limit: {SIGNATURE}")
        named.pop("limit", None)
    else:
        try:
            value = _called(args[0] if args else named.pop("limit"), params)
            is_size = metric.is_memory
            limit = parse_size(value) if is_size else parse_count(value, metric.unit)
        except ConfigError as error:
            problems += error.problems
    problems += in_metric
    in_a_phase = "phase" in named
    phase = _choice("phase", named.pop("phase", "call"), get_args(BudgetPhase), problems)
    threads = _choice("threads", named.pop("threads", "all"), get_args(Threads), problems)
    if threads == "current" and not metric.by_thread:
        problems.append("threads='current' needs metric='heap': no other metric knows threads")
    stage = named.pop("stage", None)
    if stage is not None and not (isinstance(stage, str) and stage.strip()):
        problems.append(f"stage {quoted(stage)} is not the name of a stage")
        stage = None
    if stage is not None and in_a_phase:
        problems.append("stage goes without phase: its budget holds in whatever phase it runs")
    warn = None
    try:
        warn = parse_share(named.pop("warn", None))
    except ConfigError as error:
        problems += [f"warn: {problem}" for problem in error.problems]
    problems += [f"it has no argument {name!r}: {SIGNATURE}" for name in named]
    if problems:
        raise ConfigError(*problems)
    return Budget(
        limit=limit,
        where=where,
        metric=metric.name,
        phase=phase,
        stage=stage,
        warn=warn,
        threads=threads,
    )


def _choice(name: str, value: object, allowed: tuple[str, ...], problems: list[str]) -> Any:
    if isinstance(value, str) and value in allowed:
        return value
    problems.append(f"{name} {quoted(value)} is not one of {', '.join(allowed)}")
    return allowed[0]


def _called(limit: object, params: Mapping[str, object] | None) -> object:
    if not callable(limit):
        return limit
    if params is None:
        msg = "a limit that is a function needs a parametrised test, whose parameters it gets"
        raise ConfigError(msg)
    try:
        return limit(dict(params))
    except (Exception, pytest.fail.Exception, pytest.skip.Exception) as error:
        msg = f"the function for the limit raised {type(error).__name__}: {error}"
        raise ConfigError(msg) from error
