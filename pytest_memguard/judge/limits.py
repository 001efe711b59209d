"""The limits that the baseline sets: the number it has, and what may be above it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from pytest_memguard.baselines import BaselineEntry, BaselineValue, FailRule, RuleKind
from pytest_memguard.judge.noise import margin, noise, noise_of_growth
from pytest_memguard.metrics import metric_named
from pytest_memguard.model import Budget
from pytest_memguard.rules import about_stage

_LEAST: Final[Mapping[RuleKind, int]] = {"peak": 1, "growth": 1, "stage": 1, "leak": 0}
"""Bytes that a limit has at least: no peak is measured to the byte."""


def limits(entry: BaselineEntry, rules: Iterable[FailRule], metric: str) -> list[Budget]:
    """The limits on one test: for everything that is compared, the tightest rule's.

    Args:
        entry: what is on record.
        rules: those that hold.
        metric: what was counted.
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
                ),
            )
            known = tightest.get((rule.kind, stage))
            if known is None or budget.limit < known.limit:
                tightest[rule.kind, stage] = budget
    return list(tightest.values())


def is_by_noise(budget: Budget) -> bool:
    """Whether the noise on record lets more pass than the rule of a limit does."""
    stored = budget.baseline_value
    if stored is None:
        return False
    by_rule = stored.before + margin(stored.rule, stored.before, budget.metric)
    return budget.limit > max(_LEAST[stored.rule.kind], by_rule)


def _noise(entry: BaselineEntry, rule: FailRule, metric: str) -> int:
    """Bytes above what is on record that noise explains."""
    if rule.kind == "leak":
        return 0
    return noise_of_growth(entry) if rule.kind == "growth" else noise(entry, metric)


def _on_record(
    entry: BaselineEntry, rule: FailRule, metric: str
) -> list[tuple[str | None, int, int]]:
    """What a rule is compared with: for each stage it is about, or once, or not at all.

    Returns:
        The stage, the bytes on record, and what they cannot have exceeded.
    """
    if rule.kind == "peak":
        return [(None, entry.peak, max(entry.peak, entry.ceiling))]
    if rule.kind == "stage":
        return [
            (stage.path, stage.peak, max(stage.peak, stage.ceiling))
            for stage in entry.stages
            if about_stage(rule, stage.path)
        ]
    if not metric_named(metric).is_resident:  # growth and leaks are of the whole process
        return []
    if rule.kind == "growth":
        growth = max(0, entry.growth)  # less than nothing is what others had left
        return [(None, growth, growth)]
    leak = None if entry.leak is None else round(entry.leak)
    return [] if leak is None else [(None, leak, leak)]
