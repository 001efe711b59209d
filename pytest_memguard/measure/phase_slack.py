"""Bounds the slack before each phase and stage of a test, and fills it where it matters."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING

from pytest_memguard.judge.slack_thresholds import (
    FOR_STORED_PEAKS,
    SlackThresholds,
    strictest,
    thresholds_for,
)
from pytest_memguard.measure.requirements import NO_LIMIT_TOLERANCE

if TYPE_CHECKING:
    from pytest_memguard.measure.current_test import CurrentTest
    from pytest_memguard.measure.instruments import Instruments
    from pytest_memguard.measure.requirements import Requirements


class PhaseSlack:
    """The slack of the process while one test is measured.

    Args:
        state: what is known of the test.
        requirements: what it is measured for.
        instruments: the instruments of the process.
        is_hooked: returns whether memray or tracemalloc counts, so that nothing can be filled.
        discount: leaves out of what is being measured what was filled meanwhile.

    Attributes:
        tolerance: bytes of free memory that do not matter in the phase that lasts.
    """

    def __init__(
        self,
        state: CurrentTest,
        requirements: Requirements,
        instruments: Instruments,
        is_hooked: Callable[[], bool],
        discount: Callable[[int], object],
    ) -> None:
        self.tolerance = NO_LIMIT_TOLERANCE
        self._state = state
        self._requirements = requirements
        self._instruments = instruments
        self._is_hooked = is_hooked
        self._discount = discount

    def _slack_bound(self, thresholds: SlackThresholds, *, fill: bool = True) -> int:
        """Return an upper bound of the slack; 0 where it cannot be measured."""
        estimator = self._instruments.slack_estimator
        if estimator is None:
            return 0
        self.settle()
        level = self._instruments.resident.level()
        return estimator.bound(
            level, thresholds.fill_permanently, thresholds.use_tracker, fill=fill
        )

    def hook(self, *starts: Callable[[], object]) -> int:
        """Start what hooks pymalloc, whose slack cannot be measured from then on.

        Args:
            starts: start it, in this order.

        Returns:
            Bytes by which that made the process larger.
        """
        resident, estimator = self._instruments.resident, self._instruments.slack_estimator
        self.settle()
        before = resident.level()
        if estimator is not None:
            estimator.bound(before, 0, inf, fill=False)
        for start in starts:
            start()
        after = resident.level()
        if estimator is not None:
            estimator.discount(after)
        return after - before

    def at_start(self, thresholds: SlackThresholds) -> int:
        """Return the slack at the start of a phase, and fill it where that is possible.

        While memray or tracemalloc counts, what was filled before has stayed so.
        """
        if self._is_hooked():
            return self._slack_bound(thresholds, fill=False)
        return self._fill_temporarily(self._slack_bound(thresholds), thresholds)

    def _fill_temporarily(self, slack: int, thresholds: SlackThresholds) -> int:
        """Fill the slack until the phase ends, if it matters; return what is left."""
        estimator = self._instruments.slack_estimator
        if estimator is None or slack <= thresholds.fill_temporarily:
            return slack
        level = self._instruments.resident.level()
        return estimator.fill_temporarily(
            level, slack, thresholds.fill_permanently, thresholds.fill_temporarily
        )

    def foreign(self) -> int:
        """Return the most bytes that other allocators may hold free, if they matter."""
        estimator = self._instruments.slack_estimator
        counts = estimator is not None and self._requirements.counts_foreign
        return estimator.foreign if estimator is not None and counts else 0

    def anywhere(self) -> int:
        """Return bytes of the slack where blocks of any size fit."""
        estimator = self._instruments.slack_estimator
        return 0 if estimator is None else estimator.anywhere

    def at_stage(self, limit: int | None) -> int:
        """Return the slack at the start of a stage, that of other allocators included."""
        slack, estimator = self._own_slack(limit), self._instruments.slack_estimator
        if estimator is None or not (limit is not None or self._requirements.counts_foreign):
            return slack
        if self._state.open is not None:
            here = self._state.phase(self._state.open)
            here.foreign = max(here.foreign, estimator.foreign)
        return slack + estimator.foreign

    def _own_slack(self, limit: int | None) -> int:
        """Return the slack at the start of a stage, if there is a limit on it.

        A limit that the stage states itself is not known before, so the slack is filled
        here, unless that would count as the test's own memory.
        """
        needed = [thresholds_for(limit)] if limit is not None else []
        needed += self._requirements.stage_thresholds()
        if self._requirements.record:
            needed.append(FOR_STORED_PEAKS)
        if not needed:
            return 0
        thresholds = strictest(needed)
        estimator = self._instruments.slack_estimator
        if estimator is None or limit is None or self._is_hooked():
            return self._slack_bound(thresholds, fill=not self._is_hooked())
        self.settle()
        before = self._instruments.resident.level()
        slack = estimator.bound(before, thresholds.fill_permanently, thresholds.use_tracker)
        slack = estimator.fill_more(
            before, slack, thresholds.fill_permanently, thresholds.fill_temporarily
        )
        self._discount(max(0, self._instruments.resident.level() - before))
        return slack

    def settle(self) -> None:
        """Return free memory to the system where it matters in the phase that lasts."""
        self._instruments.settle(self.tolerance)
