"""What a run asks of a test's measurement beyond its budgets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_memguard.judge.room import FOR_RECORD, Precision
from pytest_memguard.units import MIB

if TYPE_CHECKING:
    from pytest_memguard.model import PhaseName
    from pytest_memguard.plugin.plans import Plan

_NONE: Final[Mapping[PhaseName, Precision]] = {}
NO_LIMIT_TOLERANCE: Final = 1 * MIB
"""Bytes that do not matter where there is no limit."""


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

    def precision(self, plan: Plan | None) -> Mapping[PhaseName, Precision]:
        """How much free room each phase can bear, where an answer depends on it."""
        of_plan = plan.precision if plan is not None else _NONE
        return {"call": FOR_RECORD, **of_plan} if self.record else of_plan
