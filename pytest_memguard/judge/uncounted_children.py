"""What the children of a test used, beside a budget that does not count them."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_memguard.model.measurements import Budget, Peak
from pytest_memguard.model.metrics import CHILDREN, TREE, metric_named
from pytest_memguard.sizes import MIB, format_size


def children_peak(
    *, sampled: tuple[int, int], unseen: int, largest: int = 0, forgets: bool = False
) -> Peak:
    """Return the peak of a test's descendants.

    Args:
        sampled: bytes of it, at least and at most, as far as samples have seen.
        unseen: bytes that may have been missed.
        largest: bytes by which a child that has ended was larger than the process itself, of
            which it may be a copy.
        forgets: whether children may have ended without a trace.
    """
    least, most = sampled
    value = max(least, largest)
    high = max(value, most)
    unseen = max(0, most + unseen - high)  # the largest may be one that no sample has seen
    return Peak(
        metric=CHILDREN.name,
        value=value,
        high=high,
        method="sampled",
        unseen=None if forgets else unseen,
    )


def uncounted_children(budgets: Sequence[Budget], own: int, children: Peak) -> str:
    """Return the note on a budget that children alone would have exceeded; empty if none.

    Args:
        budgets: the budgets of the test.
        own: bytes of the peak of the process itself.
        children: the peak of its descendants.
    """
    if any(budget.metric == TREE.name for budget in budgets):
        return ""
    budget = min(filter(_is_whole, budgets), key=lambda budget: budget.limit, default=None)
    if budget is None or not own <= budget.limit < own + children.ceiling:
        return ""
    limit = f"the budget of {format_size(budget.limit)} set by {budget.where}"
    return (
        f"its children used {_amount(children)}, which {limit} does not count; "
        "metric='tree' does"
    )


def _is_whole(budget: Budget) -> bool:
    """Whether a budget is the user's own, on memory, and on more than a stage."""
    is_own = budget.baseline_value is None and budget.stage is None
    return is_own and metric_named(budget.metric).is_memory


def _amount(peak: Peak) -> str:
    """Return a peak in words, with its bounds if they are far apart."""
    if peak.unseen is None:
        return f"{format_size(peak.value)} or more"
    most = int(peak.ceiling)
    if most - peak.value <= max(MIB, peak.value // 20):
        return format_size(peak.value)
    if peak.value < MIB:
        return f"{format_size(most)} at most"
    return f"between {format_size(peak.value)} and {format_size(most)}"
