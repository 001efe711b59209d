"""What the run and a test's budgets ask of its measurement."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import TYPE_CHECKING, Final

from pytest_memguard.judge.slack_thresholds import (
    FOR_STORED_PEAKS,
    RSS_RESOLUTION,
    SlackThresholds,
)
from pytest_memguard.measure.instruments import URGENT_GARBAGE_FACTOR
from pytest_memguard.plugin.properties import LIMIT
from pytest_memguard.sizes import MIB
from pytest_memguard.values import dataclass

if TYPE_CHECKING:
    from pytest_memguard.model import PhaseName
    from pytest_memguard.plugin.plans import Plan

_NONE: Final[Mapping[PhaseName, SlackThresholds]] = {}
NO_LIMIT_TOLERANCE: Final = 1 * MIB
"""Bytes that do not matter where there is no limit."""
NOTABLE_RISE_BYTES: Final = 2 * RSS_RESOLUTION
"""Bytes that a test must have used for its free lists and last blocks to be worth returning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What the run asks of a test's measurement beyond its budgets."""

    track: bool = False
    """Use memray in the phases that have a budget, to name lines."""
    drill: bool = False
    """Use memray in the call, to name the lines of stages."""
    record: bool = False
    """The peak is going to be stored or compared, and must be as exact as it can be."""
    warn: float | None = None
    """Share above which budgets that stages bring along warn."""

    def thresholds(self, plan: Plan | None) -> Mapping[PhaseName, SlackThresholds]:
        """Return the thresholds of each phase whose judgement depends on slack."""
        of_plan = plan.thresholds if plan is not None else _NONE
        return {"call": FOR_STORED_PEAKS, **of_plan} if self.record else of_plan


class Demands:
    """What one test, or many with the same budgets, must be looked at for.

    Worked out once for all that are alike, and read around every test.

    Args:
        plan: the test's budgets; ``None`` if it only takes part in the report.
        needs: what else is asked for.
        bounds: whether peaks need an upper bound where there is no budget.

    Attributes:
        thresholds: what is done about slack in each phase.
        tolerance: bytes of garbage that do not matter.
        urgent_garbage_bytes: garbage from which it is collected, however long that takes.
        collects: whether garbage is collected where there may be enough to matter.
        detailed: whether a look is not enough.
        ignored_rise_bytes: by how much resident memory may have risen since slack was measured.
        limit_property: the budget, as a property for other plugins.
        simple: whether a budget on the call is all there is.
        most_slack: bytes of slack up to which such a call needs no tracker.
        quiet_setup: the highest peak of setup that makes no finding.
        quiet_call: the highest peak of the call that makes no finding.
    """

    __slots__ = (
        "bounds",
        "collects",
        "detailed",
        "ignored_rise_bytes",
        "limit_property",
        "most_slack",
        "needs",
        "plan",
        "quiet_call",
        "quiet_setup",
        "simple",
        "thresholds",
        "tolerance",
        "urgent_garbage_bytes",
    )

    def __init__(self, plan: Plan | None, needs: Needs, *, bounds: bool) -> None:
        self.plan = plan
        self.needs = needs
        self.bounds = bounds
        self.thresholds = needs.thresholds(plan)
        limited = plan is not None and bool(plan.limits)
        self.tolerance = (
            plan.tolerance if plan is not None and limited else FOR_STORED_PEAKS.ignore
        )
        self.ignored_rise_bytes = self.tolerance // 2
        self.urgent_garbage_bytes = self.tolerance * URGENT_GARBAGE_FACTOR
        self.collects = needs.record or limited
        self.detailed = needs.track or (plan is not None and plan.special)
        limit = plan.main_limit if plan is not None else None
        self.limit_property = (LIMIT, limit)
        self.simple = (
            not self.detailed
            and not (bounds or needs.record)
            and self.thresholds.keys() == {"call"}
            and limit is not None
        )
        call = self.thresholds.get("call")
        self.most_slack = call.use_tracker if call is not None else inf
        self.quiet_setup = (
            min(plan.call_only_limit, NOTABLE_RISE_BYTES)
            if plan is not None
            else NOTABLE_RISE_BYTES
        )
        self.quiet_call = plan.quiet.get("call", inf) if plan is not None else inf
