"""Begins and ends phases in which nothing is out of the ordinary, each in one function."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING

from pytest_memguard.allocator.trim import EXPENSIVE_SECONDS
from pytest_memguard.clock import Clock
from pytest_memguard.judge.slack_thresholds import RSS_RESOLUTION
from pytest_memguard.measure.requirements import (
    NOTABLE_RISE_BYTES,
    Requirements,
)
from pytest_memguard.probes.peak_rss import RESET_REQUEST
from pytest_memguard.sizes import KIB

if TYPE_CHECKING:
    from pytest_memguard.allocator.slack_estimator import SlackEstimator
    from pytest_memguard.measure.current_test import CurrentTest
    from pytest_memguard.measure.instruments import Instruments
    from pytest_memguard.model.measurements import PhaseName
    from pytest_memguard.probes.mark_resets import ResetWatch
    from pytest_memguard.probes.peak_rss import PeakRss


class PlainPhases:
    """Measures phases as `Measurement` does, for as long as it would do nothing else.

    Where every test is measured, most of them use little, and so do their setups and
    teardowns: then calling a function for each step costs five times as much as the steps. So
    these are written out. Each method returns whether it was enough. If not, it has changed
    nothing that `Measurement` does not set anew.

    Args:
        state: what is known of the test.
        instruments: the instruments of the process.
        mark: the high-water mark of the kernel.
        estimator: bounds the slack.
        resets: notices when other code resets the mark.
    """

    __slots__ = (
        "_collections",
        "_estimator",
        "_file",
        "_instruments",
        "_mark",
        "_now",
        "_resets",
        "_state",
        "_thread",
        "_usage",
    )

    def __init__(
        self,
        state: CurrentTest,
        instruments: Instruments,
        mark: PeakRss,
        estimator: SlackEstimator,
        resets: ResetWatch,
    ) -> None:
        self._state = state
        self._instruments = instruments
        self._collections = instruments.collection_watch
        self._mark = mark
        self._estimator = estimator
        # held here, not looked up: tests replace what they find in modules
        self._usage, self._thread, self._file = mark.usage, mark.thread, mark.file
        self._now: Callable[[], float] = Clock.seconds
        self._resets = resets

    def begin(self, name: PhaseName, start: float) -> bool:
        """Reset the peak, and bound the slack.

        Args:
            name: of the phase.
            start: when it began to be prepared.
        """
        state = self._state
        requirements, phase = state.requirements, state.by_name[name]
        if requirements is None or not requirements.is_plain or state.detail is not None:
            return False
        instruments, mark, estimator = self._instruments, self._mark, self._estimator
        settle, others = instruments.settle, instruments.others
        if not settle.cheap or not mark.undisturbed:
            return False
        settle.trim()
        if self._now() - start > EXPENSIVE_SECONDS:
            settle.cheap = False  # its cost is measured the next time
        if self._resets.poll(0) or self._resets.noticed:
            mark.start()
        self._reserve_free_chunks(name, requirements)
        self._file.write(RESET_REQUEST)
        base = self._usage(self._thread).ru_maxrss * KIB
        if base <= mark.inherited_peak:
            base = mark.below_inherited.level()
        ignored, tolerance, most, expensive = requirements.slack_limits[name]
        if (others is not None and base - others.level_after > ignored) or (
            name == "setup" and requirements.collects and self._is_garbage(base, requirements)
        ):
            return False
        phase.begin(base)
        self._collections.begin(phase.region)
        slack = estimator.known(base, tolerance, expensive)
        has_filled = estimator.has_changed and name in requirements.thresholds
        if slack < 0 or slack > most or has_filled:
            return False
        if others is not None:
            others.level_after = min(others.level_after, base)
        phase.slack = slack
        if requirements.counts_foreign:
            phase.foreign = estimator.foreign
        now = phase.region.started = self._now()
        state.overhead += now - start
        return True

    def end(self, name: PhaseName, start: float) -> bool:
        """Read the peak, and after a test reset it; whether no check finds anything.

        Args:
            name: of the phase.
            start: when it ended.
        """
        state, mark = self._state, self._mark
        requirements, phase = state.requirements, state.by_name[name]
        if requirements is None or not requirements.is_plain or state.detail is not None:
            return False
        region, high = phase.region, self._usage(self._thread).ru_maxrss * KIB
        if high <= mark.inherited_peak:
            high = mark.below_inherited.mark()
        base, settle = region.levels[0], self._instruments.settle
        rise = high - base if high > base else 0
        if (
            rise > NOTABLE_RISE_BYTES
            or not phase.begun
            or region.most_freed
            or region.least_freed
            or not mark.undisturbed
            or not settle.cheap
            or self._resets.poll(0)
            or self._resets.noticed
            or (name == "setup" and rise > requirements.call_only_limit)
        ):
            return False
        dropped = 0
        if name != "setup":
            settle.trim()
        if name == "call":
            self._instruments.release_free_chunks()
            before = min(base, state.setup.region.levels[0]) - RSS_RESOLUTION
            dropped = max(0, before - mark.level())
        limit = requirements.no_finding_below.get(name, inf)
        if (
            rise + phase.slack + dropped + phase.foreign > limit
            or not self._collections.end_if_intact()
        ):
            return False
        if rise:
            region.highs[0] = region.top = region.resident = high
        region.seconds, phase.dropped, phase.ended = start - region.started, dropped, True
        if name == "teardown" and not self._end_test(requirements):
            return False
        state.overhead += self._now() - start
        return True

    def _end_test(self, requirements: Requirements) -> bool:
        """Reset the peak after a test, and note the level there; the heap has been trimmed."""
        self._file.write(RESET_REQUEST)
        after = self._usage(self._thread).ru_maxrss * KIB
        if after <= self._mark.inherited_peak:
            after = self._mark.below_inherited.level()
        if requirements.collects and self._is_garbage(after, requirements):
            return False
        self._state.after = self._instruments.base = after
        return True

    def _reserve_free_chunks(self, name: PhaseName, requirements: Requirements) -> None:
        if name == "call" and name in requirements.thresholds:
            self._instruments.reserve_free_chunks(always=False)

    def _is_garbage(self, level: int, requirements: Requirements) -> bool:
        """Whether as much of the level may be garbage as matters."""
        instruments = self._instruments
        if level - instruments.clean_level > requirements.tolerance:
            return True
        instruments.clean_level = min(instruments.clean_level, level)
        return False


def plain_phases(state: CurrentTest, instruments: Instruments) -> PlainPhases | None:
    """Return what measures plain phases; ``None`` where too little is known for that."""
    mark, estimator = instruments.mark, instruments.slack_estimator
    resets = mark.resets if mark is not None else None
    if mark is None or estimator is None or resets is None:
        return None
    return PlainPhases(state, instruments, mark, estimator, resets)
