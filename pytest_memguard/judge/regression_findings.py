"""Findings about numbers above a limit of the baseline, before and after measuring again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pytest_memguard.baselines import BaselineValue
from pytest_memguard.judge.bound_reasons import REASONS
from pytest_memguard.judge.change_sentences import above, allowed, subject
from pytest_memguard.judge.limits import is_by_noise
from pytest_memguard.judge.regression import change_of, kind_of
from pytest_memguard.metrics import metric_named
from pytest_memguard.model import Budget, Finding, Peak


def peak_finding(budget: Budget, stored: BaselineValue, peak: Peak) -> Finding | None:
    """Compare a peak with a limit of the baseline.

    Args:
        budget: the limit.
        stored: the baseline value that the limit was made from.
        peak: the peak that was measured.

    Returns:
        A finding of the rule regression or undecided; ``None`` otherwise, even if the peak in
        the baseline is not exact.
    """
    kind = kind_of(budget, stored, peak.value, peak.high)
    if kind == "regression":
        text = _grown(budget, stored, peak.value)
        return Finding(rule="regression", budget=budget, peak=peak, text=text)
    if kind == "same" or kind_of(budget, stored, peak.value, peak.value) == "unsure":
        return None
    change = change_of(budget, stored, peak.value)
    amount = metric_named(budget.metric).amount
    text = (
        f"{subject(change)} lies between {amount(peak.value)} and {amount(peak.high)}, the "
        f"{allowed(change)} in between: {REASONS[peak.bound]}"
    )
    return Finding(rule="undecided", budget=budget, peak=peak, text=text)


def number_finding(budget: Budget, stored: BaselineValue, now: int) -> Finding | None:
    """Compare a number that is not a peak with a limit of the baseline.

    Args:
        budget: the limit.
        stored: the baseline value that the limit was made from.
        now: bytes, or bytes per call.
    """
    if kind_of(budget, stored, now, now) != "regression":
        return None
    return Finding(rule="regression", budget=budget, text=_grown(budget, stored, now))


def _grown(budget: Budget, stored: BaselineValue, now: int) -> str:
    """Return the sentence with the number, its difference from the baseline, and the limit."""
    return above(change_of(budget, stored, now), by_noise=is_by_noise(budget))


def confirmed(finding: Finding, readings: Sequence[int], problem: str) -> Finding:
    """Return a finding that a fresh process has confirmed, or could not check.

    Args:
        finding: about a number above its limit.
        readings: bytes measured in fresh processes, all above the limit.
        problem: why there are not as many readings as were wanted; empty if there are.
    """
    if not readings:
        why = problem or "it did not pass there"
        text = f"{finding.text}; it could not be measured again in a fresh process: {why}"
        return replace(finding, text=text)
    text = f"{finding.text}; measured again in a fresh process: {_in_words(finding, readings)}"
    return replace(finding, rule="regression", text=text)


def not_confirmed(finding: Finding, readings: Sequence[int]) -> Finding:
    """Return a finding that a fresh process has not confirmed.

    Args:
        finding: about a number above its limit.
        readings: bytes measured in fresh processes; the last is within the limit.
    """
    text = (
        f"{finding.text}; measured again in a fresh process: {_in_words(finding, readings)}, "
        "so it is not held against it (--mem-confirm)"
    )
    return replace(finding, rule="unsure", text=text)


def _in_words(finding: Finding, readings: Sequence[int]) -> str:
    return " and ".join(map(metric_named(finding.budget.metric).amount, readings))
