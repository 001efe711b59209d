"""Compares a peak with a budget: over, close to it, undecided, or within."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pytest_memguard.judge.bound_reasons import REASONS, REMEDIES
from pytest_memguard.judge.regression_findings import peak_finding
from pytest_memguard.model.measurements import Budget, Finding, Peak, PhaseName, Rule
from pytest_memguard.model.metrics import RSS, metric_named

_Words = Callable[[Budget, Peak, "PhaseName | None"], str]


def judge(budget: Budget, peak: Peak, phase: PhaseName | None = None) -> Finding | None:
    """Compare a peak with a budget.

    Args:
        budget: the limit.
        peak: the measured peak.
        phase: the phase it was measured in, if the sentence is to name it.

    Returns:
        A finding of the rule over-budget, near-budget or undecided; for a limit of the
        baseline, regression instead of over-budget. ``None`` if the peak is within the budget.
    """
    if budget.baseline_value is not None:
        return peak_finding(budget, budget.baseline_value, peak)
    limit, value = budget.limit, peak.value
    resolution = metric_named(peak.metric).tolerance(limit)
    close = bool(budget.warn and value > budget.warn * limit)
    answers: tuple[tuple[bool, Rule, _Words], ...] = (
        (value > limit + resolution, "over-budget", _over),
        (value > limit, "undecided", _fine),
        (peak.high > limit, "undecided", _undecided),
        (close, "near-budget", _near),
        (peak.ceiling > limit, "undecided", _unseen),
    )
    for holds, rule, words in answers:
        if holds:
            text = words(budget, peak, phase)
            return Finding(rule=rule, budget=budget, peak=peak, text=text)
    return None


def not_measured(budget: Budget, reason: str) -> Finding:
    """Return the finding for a budget whose metric could not be measured."""
    noun = metric_named(budget.metric).noun
    limit = f"the budget of {amount(budget, budget.limit)} on {noun} set by {budget.where}"
    if budget.baseline_value is not None:
        limit = f"the rule {budget.baseline_value.rule.text} ({budget.where}) on {noun}"
    return Finding(
        rule="not-measured", budget=budget, text=f"{limit} was not checked: {reason}"
    )


def stage_not_run(budget: Budget) -> Finding:
    """Return the finding for a budget on a stage that the test did not enter."""
    limit = f"the budget of {amount(budget, budget.limit)} for stage {budget.stage!r} set by "
    limit += budget.where
    if budget.baseline_value is not None:
        rule = budget.baseline_value.rule.text
        limit = f"the rule {rule} ({budget.where}) for stage {budget.stage!r}"
    return Finding(
        rule="stage-not-run",
        budget=budget,
        text=f"{limit} was not checked: the test entered no stage of that name",
    )


def uncovered_setup(budgets: Iterable[Budget], rise: int) -> str:
    """Return the note for a setup above a budget that covers only the call.

    Args:
        budgets: the test's budgets; one of them is on the call's resident memory.
        rise: bytes by which the peak of setup was above its start.
    """
    budget = next(b for b in budgets if b.key == (RSS.name, "call", None))
    risen, limit = _amounts(budget, rise)
    return (
        f"setup rose {risen}, above {limit}, which covers only the call (phase='all' covers "
        "setup too)"
    )


def subject(budget: Budget, phase: PhaseName | None) -> str:
    """Return what a sentence about a budget is about: "peak RSS of stage load"."""
    noun = metric_named(budget.metric).noun
    if budget.threads == "current":
        noun = f"{noun} of the test's own thread"
    if budget.stage is not None:
        return f"{noun} of stage {budget.stage!r}"
    if budget.phase == "all":
        return f"{noun} of setup, call and teardown"
    if budget.phase != "call":
        return f"{noun} of {phase or budget.phase}"
    return noun


def amount(budget: Budget, value: float) -> str:
    """Return an amount of a budget's metric in words: "20.0 MiB"."""
    return metric_named(budget.metric).amount(value)


def _amounts(budget: Budget, *values: float, difference: float = 0) -> list[str]:
    """Return amounts in one unit, and then the budget in words."""
    *amounts, limit = metric_named(budget.metric).amounts(
        *values, budget.limit, visible=(budget.limit, difference)
    )
    return [*amounts, f"the budget of {limit} set by {budget.where}"]


def _how(peak: Peak) -> str:
    if peak.method == "sampled":
        return " (sampled: the true peak may be higher)"
    if peak.method == "memray estimate":
        return " (by memray: slack inside the process hides part of it from the kernel)"
    if peak.unseen != 0:
        return " or more"
    return ""


def _over(budget: Budget, peak: Peak, phase: PhaseName | None) -> str:
    difference = peak.value - budget.limit
    used, over, limit = _amounts(budget, peak.value, difference, difference=difference)
    return f"{subject(budget, phase)} {used}{_how(peak)} is {over} over {limit}"


def _near(budget: Budget, peak: Peak, phase: PhaseName | None) -> str:
    used, limit = _amounts(budget, peak.value)
    share = f"{peak.value / budget.limit:.0%}"
    return f"{subject(budget, phase)} {used}{_how(peak)} is {share} of {limit}"


def _fine(budget: Budget, peak: Peak, phase: PhaseName | None) -> str:
    metric = metric_named(budget.metric)
    instrument, advice = "the kernel's mark is", "; metric='heap' is exact to the byte"
    if metric.includes_resident:
        instrument, advice = "samples are", ""
    used, resolution, limit = _amounts(budget, peak.value, metric.resolution)
    return (
        f"{subject(budget, phase)} {used} is as near to {limit} as {instrument} exact "
        f"({resolution}){advice}"
    )


def _undecided(budget: Budget, peak: Peak, phase: PhaseName | None) -> str:
    low, high, limit = _amounts(budget, peak.value, peak.high)
    return (
        f"{subject(budget, phase)} lies between {low} and {high}, {limit} in between: "
        f"{REASONS[peak.bound]}{REMEDIES[peak.bound]}"
    )


def _unseen(budget: Budget, peak: Peak, phase: PhaseName | None) -> str:
    """Return the sentence if sampling may have missed a peak above the limit."""
    witness = "the process's lifetime high-water mark allows"
    unbounded = "nothing bounds what lasted less"
    if metric_named(peak.metric).includes_resident:
        witness = "high-water marks and page faults of its descendants allow"
        unbounded = "SIGCHLD is ignored, and children end without a trace"
    used, top, limit = _amounts(budget, peak.value, peak.high + (peak.unseen or 0))
    bound = unbounded if peak.unseen is None else f"{witness} up to {top}"
    return (
        f"{subject(budget, phase)} was sampled, {used} at the highest, "
        f"within {limit}; {bound}, so a short peak above the budget may have been "
        "missed"
    )
