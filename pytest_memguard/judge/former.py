"""A limit that the baseline sets, against one peak or another number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_memguard.judge.bounds import REASONS
from pytest_memguard.judge.room import FINE_GRAINED, GRAIN
from pytest_memguard.model import Budget, Finding, Peak
from pytest_memguard.units import format_size

if TYPE_CHECKING:
    from pytest_memguard.baselines import Former


def judge_former(budget: Budget, former: Former, peak: Peak, subject: str) -> Finding | None:
    """Compare a peak with what is on record.

    Args:
        budget: the limit that rule and noise allow.
        former: what is on record.
        peak: what was measured.
        subject: what the sentence is about: "peak RSS of stage 'load'".

    Returns:
        A finding with one of the rules regression and undecided, or ``None``.
    """
    grain = GRAIN if peak.metric == "rss" and budget.limit < FINE_GRAINED else 0
    limit = budget.limit + grain
    if peak.high > limit >= peak.value:
        return Finding(
            rule="undecided",
            budget=budget,
            peak=peak,
            text=f"{subject} lies between {format_size(peak.value)} and "
            f"{format_size(peak.high)}, the {format_size(budget.limit)} that "
            f"{former.rule.text} ({former.rule.where}) allows in between: "
            f"{REASONS[peak.bound]}",
        )
    if peak.value > limit:
        text = f"{subject} {_grown(budget, former, peak.value)}"
        return Finding(rule="regression", budget=budget, peak=peak, text=text)
    return None


def judge_number(budget: Budget, former: Former, now: int, subject: str) -> Finding | None:
    """Compare a number that is no peak with what is on record.

    Args:
        budget: the limit that rule and noise allow.
        former: what is on record.
        now: bytes, or bytes per call.
        subject: what the sentence is about: "growth of resident memory".
    """
    if now <= budget.limit:
        return None
    text = f"{subject} {_grown(budget, former, now)}"
    return Finding(rule="regression", budget=budget, text=text)


def confirmed(finding: Finding, readings: Sequence[int], problem: str) -> Finding:
    """What becomes of a suspect that a fresh process has shown again, or could not measure.

    Args:
        finding: the suspect.
        readings: bytes, all of them above the limit.
        problem: why there are no more of them; empty if there are as many as were wanted.
    """
    if not readings:
        why = problem or "it did not pass there"
        text = f"{finding.text}; it could not be measured again in a fresh process: {why}"
        return replace(finding, text=text)
    text = f"{finding.text}; measured again in a fresh process: {_in_words(readings)}"
    return replace(finding, rule="regression", text=text)


def not_confirmed(finding: Finding, readings: Sequence[int]) -> Finding:
    """What becomes of a suspect that a fresh process does not show.

    Args:
        finding: the suspect.
        readings: bytes; the last of them is within the limit.
    """
    text = (
        f"{finding.text}; measured again in a fresh process: {_in_words(readings)}, so it is "
        "not held against it (--mem-confirm)"
    )
    return replace(finding, rule="unsure", text=text)


def _in_words(readings: Sequence[int]) -> str:
    return " and ".join(format_size(reading) for reading in readings)


def _grown(budget: Budget, former: Former, now: int) -> str:
    """What is, by how much it is more than what was, and what would have been allowed."""
    unit = " per call" if former.rule.kind == "leak" else ""
    more = now - former.before
    share = f" ({more / former.before:.0%})" if former.before > 0 else ""
    return (
        f"{format_size(now)}{unit} is {format_size(more)}{share} above the baseline of "
        f"{format_size(former.before)}; {former.rule.text} ({former.rule.where}) allows up to "
        f"{format_size(budget.limit)}"
    )
