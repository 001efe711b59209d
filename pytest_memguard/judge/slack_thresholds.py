"""How much slack a measurement tolerates before something is done about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import ceil, inf
from typing import TYPE_CHECKING, Final

from pytest_memguard.model.metrics import RSS
from pytest_memguard.values import dataclass

if TYPE_CHECKING:
    from pytest_memguard.model.measurements import Budget

# Slack up to this share of a budget is ignored. Beyond TRACKER_SHARE the high-water mark could
# miss so much that memray tracks the test from the start.
IGNORED_SHARE: Final = 0.05
TRACKER_SHARE: Final = 0.25
# The resolution of the mark: the kernel counts pages on each processor and adds them up later.
RSS_RESOLUTION: Final = RSS.resolution


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackThresholds:
    """The amounts of slack above which a measurement does something about it."""

    ignore: int
    """Bytes up to which slack is ignored."""
    fill_permanently: int
    """Bytes above which slack is filled permanently."""
    fill_temporarily: float
    """Bytes above which slack is filled while a test is measured."""
    use_tracker: float
    """Bytes above which memray tracks the test: the high-water mark may miss too much."""


LARGEST_TIGHT: Final = 400 * 1024 * 1024
"""Bytes of a budget above which no process is forked to measure tests again: it takes memory,
and hardly any suite leaves so much slack."""
# Less slack is ignored where a peak is stored or compared with a stored one: it is half of what
# the default rule allows, and another run of the same tests has about as much.
NEGLIGIBLE_SLACK: Final = 1024 * 1024
# Filling this much takes tenths of a millisecond; more would take too long for each test.
_PERMANENTLY_FILLED_BYTES: Final = 4 * 1024 * 1024
# Thresholds for peaks that will be stored or compared. Tracking would slow down every test
# after one that left slack, and a tracked peak is no closer to another reading of the mark than
# two such readings are to each other.
FOR_STORED_PEAKS: Final = SlackThresholds(
    ignore=NEGLIGIBLE_SLACK // 2,
    fill_permanently=_PERMANENTLY_FILLED_BYTES,
    fill_temporarily=NEGLIGIBLE_SLACK // 2,
    use_tracker=inf,
)


def thresholds_for(limit: int, baseline_value: int | None = None) -> SlackThresholds:
    """Return the thresholds that a limit requires.

    Args:
        limit: the limit, in bytes.
        baseline_value: the bytes that the limit was made from. Then slack must be small
            compared with the margin between the two, not with the limit.
    """
    if baseline_value is None:
        tracker = tracker_threshold(limit)
        return SlackThresholds(
            ignore=ignored_slack(limit),
            fill_permanently=ignored_slack(limit),
            fill_temporarily=tracker,
            use_tracker=tracker,
        )
    ignore = max((limit - baseline_value) // 4, FOR_STORED_PEAKS.ignore)
    return replace(FOR_STORED_PEAKS, ignore=ignore, fill_temporarily=ignore)


def strictest(several: Iterable[SlackThresholds]) -> SlackThresholds:
    """Return the smallest of each threshold."""
    all_of_them = list(several)
    return SlackThresholds(
        ignore=min(p.ignore for p in all_of_them),
        fill_permanently=min(p.fill_permanently for p in all_of_them),
        fill_temporarily=min(p.fill_temporarily for p in all_of_them),
        use_tracker=min(p.use_tracker for p in all_of_them),
    )


def tracker_threshold(limit: int) -> int:
    """Return the bytes of slack above which a test with this budget is tracked."""
    return max(int(TRACKER_SHARE * limit), RSS_RESOLUTION)


def can_be_measured_again(budget: Budget) -> bool:
    """Whether a fresh process can measure what slack may hide: in the call or its stages."""
    return budget.metric == RSS.name and budget.phase == "call"


def budget_for_slack(slack: int) -> int:
    """Return the smallest budget, in bytes, whose tests need no tracker for so much slack."""
    return ceil(slack / TRACKER_SHARE)


def ignored_slack(limit: int) -> int:
    """Return the bytes of slack that do not matter for this budget."""
    return max(int(IGNORED_SHARE * limit), RSS_RESOLUTION)
