"""The sentences of a comparison with the baseline."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pytest_memguard.judge.bound_reasons import REASONS
from pytest_memguard.judge.grown_parts import grown_stage
from pytest_memguard.model.baselines import BaselineEntry, Change, ChangeKind
from pytest_memguard.model.metrics import metric_named

GONE: Final = "it is in the baseline, and no longer among the tests"
LEAK_NOT_CHECKED: Final = "it was not checked for leaks this time, so its leak has no number"
LEAK_NEW: Final = "the baseline has no number for its leak yet"


def noun(metric: str) -> str:
    """Return what a sentence calls the peak of a metric."""
    return metric_named(metric).noun


def new(metric: str, now: BaselineEntry) -> str:
    """Return the sentence for a test that is not in the baseline."""
    return f"{noun(metric)} {metric_named(metric).amount(now.peak)}, not in the baseline yet"


def stage_is(kind: ChangeKind, path: str) -> str:
    """Return the sentence for a stage that only one side has."""
    if kind == "new":
        return f"stage {path!r} is not in the baseline yet"
    return f"stage {path!r} is in the baseline, and the test did not enter it this time"


def sentence(change: Change, was: BaselineEntry, now: BaselineEntry, *, by_noise: bool) -> str:
    """Return the sentence for a change.

    Args:
        change: the change, without its text.
        was: the entry in the baseline.
        now: the reading.
        by_noise: whether noise allows more than the rule does.
    """
    if change.kind == "regression":
        return f"{above(change, by_noise=by_noise)}{_stage(change, was, now)}"
    if change.kind == "undecided":
        return _undecided(change, was, now)
    if change.kind == "improvement":
        return _moved(change, "below")
    if was.imports > now.imports and change.subject == "peak":
        return (
            f"the baseline of {_amount(change, change.before)} has the memory of modules in "
            f"it ({was.imports:,} were imported then, {now.imports:,} now); saving again "
            "makes it exact"
        )
    return ""


def _undecided(change: Change, was: BaselineEntry, now: BaselineEntry) -> str:
    if change.now > change.allowed:
        return f"{above_baseline(change)}, but {_imports(was, now)}"
    if change.now > change.before and _was_bounded(change, was):
        return above_a_bound(change)
    return (
        f"{subject(change)} is {_amount(change, change.now)} or more, and may be above the "
        f"{allowed(change)}: {REASONS['slack']}"
    )


def above_a_bound(change: Change) -> str:
    """Return the sentence for a number that is above a baseline value which is a lower bound.

    Args:
        change: the change, without its text.
    """
    return (
        f"{above_baseline(change)}, which is not exact: it may have been as high as it is now, "
        f"as {REASONS['slack']}"
    )


def above(change: Change, *, by_noise: bool) -> str:
    """Return the number, by how much it is above the baseline value, and what was allowed.

    Args:
        change: the change, without its text.
        by_noise: whether noise allows more than the rule does.
    """
    noise = " and the noise on record allow" if by_noise else " allows"
    difference = abs(change.now - change.before)
    *_, most = _amounts(
        change,
        *(change.now, difference, change.before, change.allowed),
        visible=(difference, change.allowed),
    )
    return f"{above_baseline(change)}; {_rule(change)}{noise} up to {most}"


def allowed(change: Change) -> str:
    """Return the limit with its rule: "22.0 MiB that peak:10% (pytest.ini) allows"."""
    return f"{_amount(change, change.allowed)} that {_rule(change)} allows"


def _was_bounded(change: Change, was: BaselineEntry) -> bool:
    """Return whether the number in the baseline is only a lower bound."""
    if change.subject == "peak":
        return was.ceiling > 0
    return any(
        stage.ceiling > 0
        for stage in was.stages
        if change.subject == "stage" and stage.path == change.stage
    )


def subject(change: Change) -> str:
    """Return what a sentence is about: "peak RSS of stage 'load'"."""
    metric = change.environment.metric
    if change.subject == "peak":
        return noun(metric)
    if change.subject == "stage":
        return f"{noun(metric)} of stage {change.stage!r}"
    if change.subject == "growth":
        return "growth of resident memory"
    return "its leak of"


def _amount(change: Change, size: int) -> str:
    return _amounts(change, size)[0]


def _amounts(change: Change, *sizes: int, visible: Iterable[int] = ()) -> list[str]:
    """Return numbers that one sentence compares, in the same unit."""
    end = " per call" if change.subject == "leak" else ""
    amounts = metric_named(change.environment.metric).amounts(*sizes, visible=visible)
    return [f"{text}{end}" for text in amounts]


def _moved(change: Change, where: str) -> str:
    """Return the number, and how far it is above or below the baseline value."""
    difference = abs(change.now - change.before)
    now, more, before, _ = _amounts(
        change,
        *(change.now, difference, change.before, change.allowed),
        visible=(difference, change.allowed),
    )
    if change.before > 0:
        more = f"{more} ({difference / change.before:.0%})"
    return f"{subject(change)} {now} is {more} {where} the baseline of {before}"


def above_baseline(change: Change) -> str:
    """Return the number, and by how much it is above the baseline value.

    Args:
        change: the change, without its text.
    """
    return _moved(change, "above")


def _rule(change: Change) -> str:
    return f"{change.rule.text} ({change.rule.where})" if change.rule is not None else "a rule"


def _stage(change: Change, was: BaselineEntry, now: BaselineEntry) -> str:
    grown = grown_stage(was.stages, now.stages) if change.subject == "peak" else None
    if grown is None:
        return ""
    before, stage = grown
    metric = metric_named(change.environment.metric)
    if before is None:
        return f"; stage {stage.path!r} is new, with {metric.amount(stage.peak)}"
    return (
        f"; stage {stage.path!r} grew most, from {metric.amount(before.peak)} to "
        f"{metric.amount(stage.peak)}"
    )


def _imports(was: BaselineEntry, now: BaselineEntry) -> str:
    more = now.imports - was.imports
    modules = "1 module more" if more == 1 else f"{more:,} modules more"
    were = "was" if more == 1 else "were"
    return (
        f"{modules} than on record {were} imported for the first time during the call, which "
        "may be all of it"
    )
