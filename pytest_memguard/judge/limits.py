"""Makes limits from baseline values and rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from pytest_memguard.judge.noise import margin, noise, noise_of_growth
from pytest_memguard.model.baselines import BaselineEntry, BaselineValue, FailRule, RuleKind
from pytest_memguard.model.measurements import Budget
from pytest_memguard.model.metrics import metric_named
from pytest_memguard.options.rules import about_stage

_LEAST: Final[Mapping[RuleKind, int]] = {"peak": 1, "growth": 1, "stage": 1, "leak": 0}
"""The smallest limit by kind: peaks are not measured to the byte."""


def limits(entry: BaselineEntry, rules: Iterable[FailRule], metric: str) -> list[Budget]:
    """Return the limits on one test: the tightest for each number that a rule applies to.

    Args:
        entry: the test's entry in the baseline.
        rules: the rules that apply to the test.
        metric: the metric of the entry.
    """
    tightest: dict[tuple[str, str | None], Budget] = {}
    for rule in rules:
        for stage, low, before in _on_record(entry, rule, metric):
            by_noise = _noise(entry, rule, metric)
            budget = Budget(
                limit=max(
                    _LEAST[rule.kind], before + max(margin(rule, before, metric), by_noise)
                ),
                where=rule.where,
                metric=metric,
                stage=stage,
                baseline_value=BaselineValue(
                    before=before,
                    low=low if low < before else None,
                    rule=rule,
                    imports=entry.imports,
                    cold=entry.cold if rule.kind == "peak" else 0,
                    fills=entry.fills if rule.kind == "peak" and entry.cold else (),
                ),
            )
            known = tightest.get((rule.kind, stage))
            if known is None or budget.limit < known.limit:
                tightest[rule.kind, stage] = budget
    return list(tightest.values())


def is_by_noise(budget: Budget) -> bool:
    """Return whether the noise in the baseline allows more than the rule does."""
    stored = budget.baseline_value
    if stored is None:
        return False
    by_rule = stored.before + margin(stored.rule, stored.before, budget.metric)
    return budget.limit > max(_LEAST[stored.rule.kind], by_rule)


def _noise(entry: BaselineEntry, rule: FailRule, metric: str) -> int:
    """Return by how much noise explains a number above the baseline value."""
    if rule.kind == "leak":
        return 0
    return noise_of_growth(entry) if rule.kind == "growth" else noise(entry, metric)


def _on_record(
    entry: BaselineEntry, rule: FailRule, metric: str
) -> list[tuple[str | None, int, int]]:
    """Return the baseline values that a rule applies to: one for each stage, one, or none.

    Returns:
        Stage, baseline value, and its upper bound.
    """
    if rule.kind == "peak":
        return [(None, entry.peak, max(entry.peak, entry.ceiling))]
    if rule.kind == "stage":
        return [
            (stage.path, stage.peak, max(stage.peak, stage.ceiling))
            for stage in entry.stages
            if about_stage(rule, stage.path)
        ]
    if not metric_named(metric).is_resident:  # only resident memory has growth and leaks
        return []
    if rule.kind == "growth":
        growth = max(0, entry.growth)  # below 0 if memory of earlier tests was freed
        return [(None, growth, growth)]
    leak = None if entry.leak is None else round(entry.leak)
    return [] if leak is None else [(None, leak, leak)]
