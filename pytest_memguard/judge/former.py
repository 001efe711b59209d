"""A limit that the baseline sets, against one peak or another number."""

from __future__ import annotations

from pytest_memguard.baselines import Former
from pytest_memguard.judge.room import FINE_GRAINED, GRAIN, NEGLIGIBLE
from pytest_memguard.model import Budget, Finding, Peak
from pytest_memguard.units import format_size


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
    if peak.value > limit:
        text = f"{subject} {_grown(budget, former, peak.value)}"
        return Finding(rule="regression", budget=budget, peak=peak, text=text)
    if peak.high > limit and peak.high - peak.value > NEGLIGIBLE:
        return Finding(
            rule="undecided",
            budget=budget,
            peak=peak,
            text=f"{subject} lies between {format_size(peak.value)} and "
            f"{format_size(peak.high)}, the {format_size(budget.limit)} that "
            f"{former.rule.text} ({former.rule.where}) allows in between: earlier code left "
            "room free inside the process that the kernel's mark does not show",
        )
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
