"""Compares readings with the baseline: one number, one test, or all tests of a run."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Final

from pytest_memguard.judge import change_sentences as sentences
from pytest_memguard.judge.cold_and_warm import is_filled_as_before
from pytest_memguard.judge.grown_parts import grown_lines
from pytest_memguard.judge.imports import imports_may_explain
from pytest_memguard.judge.limits import is_by_noise, limits
from pytest_memguard.model.baselines import (
    Baseline,
    BaselineEntry,
    BaselineValue,
    Change,
    ChangeKind,
    EnvironmentKey,
    FailRule,
    RuleKind,
)
from pytest_memguard.model.measurements import Budget
from pytest_memguard.model.metrics import metric_named
from pytest_memguard.options.rules import about_stage

_OF_PEAKS: Final = frozenset({"peak", "stage"})
"""Kinds of rules on peaks, whose readings spread and which the kernel counts in steps."""


def kind_of(budget: Budget, stored: BaselineValue, now: int, top: int) -> ChangeKind:
    """Return whether a number is above a limit that the baseline sets.

    Every comparison with the baseline begins here: during a test, in the report of the run, and
    in ``memguard compare``.

    Args:
        budget: the limit.
        stored: the baseline value that the limit was made from.
        now: the number that was measured.
        top: its upper bound.

    Returns:
        ``regression`` or ``same``; ``undecided`` if it depends on how far one of the two
        numbers is from its upper bound.
    """
    limit = budget.limit
    if stored.rule.kind in _OF_PEAKS:
        limit += metric_named(budget.metric).tolerance(budget.limit)
    if now > limit:
        return "same" if is_filled_as_before(budget, stored, now, top) else "regression"
    return "undecided" if top > limit or is_hidden_by_record(limit, stored, now) else "same"


def is_hidden_by_record(limit: int, stored: BaselineValue, now: int) -> bool:
    """Return whether a number may be a regression that only the bound on record lets pass.

    Args:
        limit: what is allowed above the upper bound of the baseline value.
        stored: the baseline value.
        now: the number that was measured, which the limit lets pass.
    """
    return stored.low is not None and now - stored.low > limit - stored.before


def judge_entry(
    nodeid: str,
    environment: EnvironmentKey,
    before: BaselineEntry | None,
    now: BaselineEntry,
    rules: Sequence[FailRule],
) -> tuple[Change, ...]:
    """Compare a reading with the baseline.

    Args:
        nodeid: the test.
        environment: where both were measured, and the metric.
        before: the test's entry in the baseline; ``None`` if there is none.
        now: the reading.
        rules: how much more than the baseline value is too much.

    Returns:
        A change of the peak, then one for each other number that a rule applies to.
    """
    return tuple(_judged(nodeid, environment, before, now, rules))


def change_of(budget: Budget, stored: BaselineValue, now: int) -> Change:
    """Return a number with the limit that it is compared with; the test is not filled in.

    Args:
        budget: the limit.
        stored: the baseline value that the limit was made from.
        now: the number that was measured.
    """
    return Change(
        kind="regression",
        nodeid="",
        environment=EnvironmentKey(
            system="", machine="", implementation="", python="", metric=budget.metric
        ),
        subject=stored.rule.kind,
        stage=budget.stage or "",
        before=stored.before if stored.low is None else stored.low,
        now=now,
        allowed=budget.limit,
        rule=stored.rule,
    )


def judge_limit(
    nodeid: str,
    environment: EnvironmentKey,
    budget: Budget,
    before: BaselineEntry,
    now: BaselineEntry,
) -> Change | None:
    """Compare one number of a reading with its limit.

    Args:
        nodeid: the test.
        environment: where both were measured, and the metric.
        budget: the limit, as `limits.limits` makes it from the entry.
        before: the test's entry in the baseline.
        now: the reading.

    Returns:
        The change; ``None`` if the reading does not have this number.
    """
    stored = budget.baseline_value
    reading = None if stored is None else _reading(stored.rule.kind, budget.stage, now)
    if stored is None or reading is None:
        return None
    rule = stored.rule
    value, top = reading
    change = change_of(budget, stored, value)
    was = change.before
    kind = kind_of(budget, stored, value, top)
    of_memory = rule.kind != "leak"
    if kind == "regression" and of_memory and imports_may_explain(before, now, value - was):
        kind = "undecided"
    if kind == "same":
        spread = before.spread if rule.kind in _OF_PEAKS else 0
        is_cold = of_memory and before.imports > now.imports
        if top < was - spread - (budget.limit - stored.before) and not is_cold:
            kind = "improvement"
    change = replace(change, kind=kind, nodeid=nodeid, environment=environment)
    if kind == "same" and before.imports <= now.imports:
        return change
    text = sentences.sentence(change, before, now, by_noise=is_by_noise(budget))
    lines = grown_lines(before.lines, now.lines) if kind == "regression" else ()
    return replace(change, text=text, lines=lines)


def _reading(kind: RuleKind, stage: str | None, now: BaselineEntry) -> tuple[int, int] | None:
    """Return the number that a rule applies to, and its upper bound."""
    if kind == "growth":
        growth = max(0, now.growth)  # below 0 if memory of earlier tests was freed
        return growth, growth
    if kind == "leak":
        return None if now.leak is None else (round(now.leak), round(now.leak))
    if kind == "peak":
        return now.peak, max(now.peak, now.ceiling)
    found = next((one for one in now.stages if one.path == stage), None)
    return None if found is None else (found.peak, max(found.peak, found.ceiling))


def _judged(
    nodeid: str,
    environment: EnvironmentKey,
    before: BaselineEntry | None,
    now: BaselineEntry,
    rules: Sequence[FailRule],
) -> Iterator[Change]:
    if before is None:
        text = sentences.new(environment.metric, now)
        yield Change(
            kind="new", nodeid=nodeid, environment=environment, now=now.peak, text=text
        )
        return
    found = limits(before, rules, environment.metric)
    if all(stored.rule.kind != "peak" for budget in found if (stored := budget.baseline_value)):
        yield Change(
            kind="same",
            nodeid=nodeid,
            environment=environment,
            before=before.peak,
            now=now.peak,
        )
    for budget in found:
        change = judge_limit(nodeid, environment, budget, before, now)
        if change is not None:
            yield change
    kinds = {rule.kind for rule in rules}
    if metric_named(environment.metric).is_resident and "leak" in kinds:
        yield from _leak_of_one_side(nodeid, environment, before, now)
    if "stage" in kinds:
        yield from _stages_of_one_side(nodeid, environment, before, now, rules)


def _leak_of_one_side(
    nodeid: str, environment: EnvironmentKey, before: BaselineEntry, now: BaselineEntry
) -> Iterator[Change]:
    """Yield a change if only the baseline or only the reading has a number for the leak."""
    if before.leak is not None and now.leak is None:
        yield Change(
            kind="undecided",
            nodeid=nodeid,
            environment=environment,
            subject="leak",
            before=round(before.leak),
            text=sentences.LEAK_NOT_CHECKED,
        )
    elif before.leak is None and now.leak is not None:
        yield Change(
            kind="new",
            nodeid=nodeid,
            environment=environment,
            subject="leak",
            now=round(now.leak),
            text=sentences.LEAK_NEW,
        )


def _stages_of_one_side(
    nodeid: str,
    environment: EnvironmentKey,
    before: BaselineEntry,
    now: BaselineEntry,
    rules: Sequence[FailRule],
) -> Iterator[Change]:
    """Yield changes for stages that a rule applies to and only one side has."""
    is_, was = ({stage.path: stage for stage in entry.stages} for entry in (now, before))
    for path in {**is_, **was}:
        if (path in is_) == (path in was):
            continue
        if any(about_stage(rule, path) for rule in rules):
            kind: ChangeKind = "new" if path in is_ else "gone"
            yield Change(
                kind=kind,
                nodeid=nodeid,
                environment=environment,
                subject="stage",
                stage=path,
                before=was[path].peak if path in was else 0,
                now=is_[path].peak if path in is_ else 0,
                text=sentences.stage_is(kind, path),
            )


def gone_change(nodeid: str, environment: EnvironmentKey, before: BaselineEntry) -> Change:
    """Return the change of a test that is in the baseline and no longer exists.

    Args:
        nodeid: the test.
        environment: where it was measured, and the metric.
        before: the test's entry in the baseline.
    """
    return Change(
        kind="gone",
        nodeid=nodeid,
        environment=environment,
        before=before.peak,
        text=sentences.GONE,
    )


def compare(
    old: Baseline,
    new: Baseline,
    rules: Sequence[FailRule],
    present: Collection[str] = (),
) -> tuple[Change, ...]:
    """Compare two sets of numbers.

    Args:
        old: the baseline.
        new: the readings.
        rules: how much more than the baseline value is too much.
        present: tests that exist although they have no new reading.

    Returns:
        Changes by node id. In an environment that both sides have, tests may be new or gone; in
        one that only ``new`` has, every test is new.
    """
    changes: list[Change] = []
    for environment, entries in new.environments.items():
        stored = old.environments.get(environment, {})
        for nodeid, now in entries.items():
            changes += _judged(nodeid, environment, stored.get(nodeid), now, rules)
        changes += [
            gone_change(nodeid, environment, entry)
            for nodeid, entry in stored.items()
            if nodeid not in entries and nodeid not in present
        ]
    return tuple(sorted(changes, key=lambda change: change.nodeid))
