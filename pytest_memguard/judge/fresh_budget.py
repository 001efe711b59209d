"""Judges a budget by what its test uses in a fresh process, where its own run cannot decide."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from pytest_memguard.judge.budget import judge
from pytest_memguard.judge.cold_and_warm import TwoCalls
from pytest_memguard.judge.slack_thresholds import (
    NEGLIGIBLE_SLACK,
    can_be_measured_again,
    ignored_slack,
)
from pytest_memguard.model.measurements import BREACHES, Budget, Finding
from pytest_memguard.model.metrics import metric_named

_AGAIN: Final = "measured again in a fresh process"


def is_open(finding: Finding) -> bool:
    """Whether a fresh process can answer what a finding on a budget leaves open.

    What sampling may have missed is not known there either.
    """
    peak = finding.peak
    return (
        finding.rule == "undecided"
        and peak is not None
        and peak.unseen == 0
        and peak.high > finding.budget.limit
        and can_be_measured_again(finding.budget)
    )


def may_depend_on_others(finding: Finding) -> bool:
    """Whether a fresh process can tell if a breach depends on what earlier tests have left.

    Where memory is sampled, no process can tell that a test stays within its budget.
    """
    return (
        finding.rule == "over-budget"
        and finding.peak is not None
        and finding.peak.unseen == 0
        and can_be_measured_again(finding.budget)
    )


def after_breach(finding: Finding, calls: TwoCalls | None, problem: str) -> Finding:
    """Return a breach as it is after its test has been called once in a fresh process.

    A budget is about what a test uses itself. What earlier tests have left can make it use
    more: data that it works on, or the places in the heap where its memory happens to be.

    Args:
        finding: on a peak that is above the limit.
        calls: the peak there.
        problem: why there is none.

    Returns:
        The breach, or an undecided finding where the test alone is surely within its budget.
    """
    here, budget = finding.peak, finding.budget
    if calls is None or here is None:
        why = problem or "it did not pass there"
        return _open(finding, f"it could not be {_AGAIN}: {why}")
    cold = calls.cold
    amounts = metric_named(budget.metric).amounts
    over = here.value - budget.limit
    there, high, *_ = amounts(
        cold.value, cold.high, here.value, over, budget.limit, visible=(over, budget.limit)
    )
    if cold.ceiling <= budget.limit:
        why = f"it used only {there}, so the rest depends on earlier tests"
        return replace(_open(finding, f"{_AGAIN}, {why} (--mem-confirm)"), rule="undecided")
    is_over = cold.value > budget.limit
    if is_over and abs(cold.value - here.value) <= ignored_slack(budget.limit):
        return finding
    words = there if is_over else f"between {there} and {high}"
    return _open(finding, f"{_AGAIN}: {words}")


def after_fresh(finding: Finding, calls: TwoCalls | None, problem: str) -> Finding | None:
    """Return a finding as it is after its test has been called in a fresh process.

    The first call there fills what lasts (caches, tables), which an earlier test may have
    filled here. So the test is within its budget if the first call is, and exceeds it if each
    call does.

    Args:
        finding: on a peak of which only two bounds are known, the limit between them.
        calls: the peaks there, of which the second is only there if it was needed.
        problem: why there are none.

    Returns:
        ``None`` if the test is within its budget.
    """
    here, budget = finding.peak, finding.budget
    if calls is None or here is None:
        why = problem or "it did not pass there"
        return _open(finding, f"it could not be {_AGAIN}: {why}")
    if calls.cold.high + max(ignored_slack(budget.limit), NEGLIGIBLE_SLACK) < here.value:
        used = metric_named(budget.metric).amount(calls.cold.value)
        return _open(finding, f"{_AGAIN}, it used only {used}, so it depends on earlier tests")
    cold = judge(budget, calls.cold)
    if cold is None or cold.rule == "near-budget":
        return cold
    each = _of_each_call(budget, cold, calls)
    if each is not None:
        why = "; measured in a fresh process: what earlier tests left hides part of it here"
        return replace(each, text=each.text + why)
    return _open(finding, f"{_AGAIN}, {_in_words(budget, cold, calls)}")


def _of_each_call(budget: Budget, cold: Finding, calls: TwoCalls) -> Finding | None:
    """Return the breach of each call, if the second is too much or may be like the first."""
    if cold.rule not in BREACHES or calls.warm is None:
        return None
    resolution = metric_named(budget.metric).resolution
    if calls.cold.value <= budget.limit + resolution:
        return None  # the two processes may differ by as much
    warm = judge(budget, calls.warm)
    if warm is not None and warm.rule in BREACHES:
        return warm
    return cold if calls.warm.high + resolution >= calls.cold.value else None


def _in_words(budget: Budget, cold: Finding, calls: TwoCalls) -> str:
    """Return why two calls that were measured settle nothing."""
    amount = metric_named(budget.metric).amount
    first = amount(calls.cold.value)
    if cold.rule not in BREACHES:
        return f"it used between {first} and {amount(calls.cold.high)}"
    resolution = metric_named(budget.metric).resolution
    if calls.cold.value <= budget.limit + resolution:
        return f"it used {first}, which is as near to the budget as two processes differ"
    if calls.warm is None:
        return f"it used {first}, and did not pass a second time"
    return (
        f"the first call takes {first} and the next one {amount(calls.warm.value)}: it depends "
        "on what is filled already"
    )


def without_memray(finding: Finding, why: str) -> Finding:
    """Return an undecided finding with why memray has not decided it.

    Args:
        finding: about a peak of which only two bounds are known.
        why: a clause.
    """
    return _open(
        finding, f"{why}; a budget of {_avoiding(finding)} needs no second measurement"
    )


def _avoiding(finding: Finding) -> str:
    high = finding.peak.high if finding.peak is not None else 0
    return metric_named(finding.budget.metric).amount(high)


def _open(finding: Finding, why: str) -> Finding:
    """Return the finding with why a fresh process has not answered the question."""
    return replace(finding, text=f"{finding.text}; {why}")
