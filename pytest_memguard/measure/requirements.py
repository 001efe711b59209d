"""What has to be measured of a test: required by the run and by each check, and united."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import Final

from pytest_memguard.judge.slack_thresholds import (
    FOR_STORED_PEAKS,
    RSS_RESOLUTION,
    SlackThresholds,
    can_be_measured_again,
    strictest,
    thresholds_for,
)
from pytest_memguard.measure.screen import most_screened
from pytest_memguard.model.measurements import PHASES, Budget, PhaseName
from pytest_memguard.model.metrics import Metric, metric_named
from pytest_memguard.sizes import MIB

NO_LIMIT_TOLERANCE: Final = 1 * MIB
"""Bytes that do not matter where there is no limit."""
NOTABLE_RISE_BYTES: Final = 2 * RSS_RESOLUTION
"""Bytes that a test must have used for its free lists and last blocks to be worth returning."""


class Requirements:
    """What has to be measured of a test, and how exactly; never changed once it is made.

    ``one | other`` measures enough for both. What follows from the requirements is worked out
    here, once for all tests that have the same, because it is read around every test.

    Args:
        limits: limits on peaks that are going to be judged.
        metrics: names of metrics that are read in every phase, though no limit is set on them.
        readings: whether a check reads what was measured in each phase.
        track: whether memray runs in the phases with a limit, to name allocation sites.
        drill: whether memray runs in the call, to name those of stages.
        record: whether the peak will be stored or compared, and must be as exact as possible.
        bounds: whether peaks need an upper bound where there is no limit.
        growth: whether a check judges what a test leaves behind.
        foreign: whether slack of other allocators matters though there is no budget.

    Attributes:
        thresholds: what is done about slack in each phase whose judgement depends on it.
        resident: the smallest limit on resident memory in each phase that has one.
        slack_limits: of each phase bytes of slack that do not matter, twice: for what other
            allocators hold, and for a bound; up to which a phase is plain, and from which a
            higher bound would call for an expensive instrument.
        no_finding_below: the highest peaks in which no check finds anything; phases without a
            limit are absent.
        traced: phases in which every allocation is tracked.
        traced_whole: whether the tracker spans the whole test.
        traced_in_parts: whether parts of the tracked time, or threads, are counted apart.
        metered: phases in which further metrics are read, by the names of these.
        metered_whole: whether their probes must not stop between phases.
        tolerance: bytes of garbage that do not matter.
        ignored_rise_bytes: how far resident memory may rise after slack has been measured.
        collects: whether garbage is collected where there may be enough to matter.
        detailed: whether the high-water mark, phase by phase, is not enough.
        is_plain: whether each phase gets a bound, and there is nothing else about the test.
        simple: whether a limit on the peak RSS of the call is all there is.
        may_leave_slack: whether limits on that peak alone matter, which slack may hide from as
            long as a fresh process can answer in doubt.
        most_slack: bytes of slack up to which such a call needs no tracker.
        most_screened: as many where a fresh process can answer in doubt.
        setup_no_finding_below: the highest peak of setup that needs no second measurement.
        call_no_finding_below: the highest peak of the call in which no check finds anything.
        call_only_limit: the user's limit on the call's peak RSS, infinite where a limit covers
            setup, too.
        main_limit: the limit that stands for the test where there is room for one, if any.
        hard: the limits at which the test is stopped.
        counts_foreign: whether slack of other allocators matters: to a budget, or to bounds.
        can_be_measured_again: whether a fresh process can measure all that slack may hide.
    """

    __slots__ = (
        "bounds",
        "call_no_finding_below",
        "call_only_limit",
        "can_be_measured_again",
        "collects",
        "counts_foreign",
        "detailed",
        "drill",
        "foreign",
        "growth",
        "hard",
        "ignored_rise_bytes",
        "is_plain",
        "limits",
        "main_limit",
        "may_leave_slack",
        "metered",
        "metered_whole",
        "metrics",
        "most_screened",
        "most_slack",
        "no_finding_below",
        "readings",
        "record",
        "resident",
        "setup_no_finding_below",
        "simple",
        "slack_limits",
        "thresholds",
        "tolerance",
        "traced",
        "traced_in_parts",
        "traced_whole",
        "track",
    )

    def __init__(
        self,
        *,
        limits: Iterable[Budget] = (),
        metrics: frozenset[str] = frozenset(),
        readings: bool = False,
        track: bool = False,
        drill: bool = False,
        record: bool = False,
        bounds: bool = False,
        growth: bool = False,
        foreign: bool = False,
    ) -> None:
        self.limits = tuple(limits)
        self.metrics = metrics
        self.readings = readings
        self.track = track
        self.drill = drill
        self.record = record
        self.bounds = bounds
        self.growth = growth
        self.foreign = foreign
        self._work_out_traced([b for b in self.limits if metric_named(b.metric).is_traced])
        self._work_out_metered([b for b in self.limits if _is_metered(metric_named(b.metric))])
        resident = [b for b in self.limits if _includes_resident(b)]
        self._work_out_resident(resident)
        self.can_be_measured_again = all(can_be_measured_again(b) for b in resident)
        self.hard = tuple(b for b in self.limits if b.hard and b.limit)
        mine = [b for b in self.limits if b.baseline_value is None]
        shown = bounds and not record  # what is stored is compared with what is stored
        self.counts_foreign = foreign or shown or any(map(_counts_foreign, mine))
        self.main_limit = mine[0].limit if mine else None
        self.call_only_limit = _call_only_limit(mine)
        self._work_out_short_cuts()

    def __or__(self, other: Requirements) -> Requirements:
        """Return what measures enough for both."""
        return Requirements(
            limits=self.limits + other.limits,
            metrics=self.metrics | other.metrics,
            readings=self.readings or other.readings,
            track=self.track or other.track,
            drill=self.drill or other.drill,
            record=self.record or other.record,
            bounds=self.bounds or other.bounds,
            growth=self.growth or other.growth,
            foreign=self.foreign or other.foreign,
        )

    def stage_thresholds(self) -> list[SlackThresholds]:
        """What is done about slack in a stage, for each limit there is on any stage."""
        return [_thresholds(b) for b in self.limits if b.stage and _includes_resident(b)]

    def metrics_in(self, phase: PhaseName) -> list[str]:
        """Names of the further metrics that are read in a phase."""
        return [name for name, phases in self.metered.items() if phase in phases]

    def _work_out_traced(self, limits: Sequence[Budget]) -> None:
        self.traced = frozenset(p for p in PHASES if any(b.covers(p) for b in limits))
        self.traced_whole = any(b.phase == "all" and b.stage is None for b in limits)
        self.traced_in_parts = self.traced_whole or any(
            b.threads == "current" or b.stage is not None for b in limits
        )

    def _work_out_metered(self, limits: Sequence[Budget]) -> None:
        self.metered: Mapping[str, frozenset[PhaseName]] = {
            **{name: _phases_of(name, limits) for name in {b.metric: None for b in limits}},
            **dict.fromkeys(sorted(self.metrics), frozenset(PHASES)),
        }
        self.metered_whole = any(b.phase == "all" and b.stage is None for b in limits)

    def _work_out_resident(self, limits: Sequence[Budget]) -> None:
        self.resident: dict[PhaseName, int] = {}
        self.no_finding_below: dict[PhaseName, float] = {}
        thresholds: dict[PhaseName, SlackThresholds] = {}
        for phase in PHASES:
            covering = [b for b in limits if b.covers(phase)]
            if covering:
                thresholds[phase] = strictest(_thresholds(b) for b in covering)
            covering = [b for b in covering if _is_resident(b)]
            if covering:
                self.resident[phase] = min(b.limit for b in covering)
                self.no_finding_below[phase] = min(map(_no_finding_below, covering))
        self.tolerance = min(
            (of_phase.ignore for of_phase in thresholds.values()),
            default=FOR_STORED_PEAKS.ignore,
        )
        recorded: dict[PhaseName, SlackThresholds] = (
            {"call": FOR_STORED_PEAKS} if self.record else {}
        )
        self.thresholds: Mapping[PhaseName, SlackThresholds] = {**recorded, **thresholds}
        self.slack_limits = {
            phase: _slack_limits(self.thresholds.get(phase)) for phase in PHASES
        }

    def _work_out_short_cuts(self) -> None:
        self.ignored_rise_bytes = self.tolerance // 2
        self.collects = self.record or any(_includes_resident(b) for b in self.limits)
        self.detailed = (
            self.track
            or self.readings
            or bool(self.metrics)
            or any(not _is_resident(b) or b.stage or b.phase == "all" for b in self.limits)
        )
        self.simple = (
            not self.detailed
            and not (self.bounds or self.record)
            and self.thresholds.keys() == {"call"}
            and self.main_limit is not None
        )
        self.may_leave_slack = (
            not (self.detailed or self.growth)
            and self.thresholds.keys() == {"call"}
            and self.can_be_measured_again
            and "call" in self.resident
            and not any(map(_fills_on_record, self.limits))  # what it fills is no doubt
        )
        self.is_plain = self.bounds and not (self.detailed or self.record or self.growth)
        call = self.thresholds.get("call")
        self.most_slack = call.use_tracker if call is not None else inf
        self.most_screened = self.most_slack
        if self.simple and self.can_be_measured_again:
            self.most_screened = max(self.most_slack, most_screened(self.resident["call"]))
        self.setup_no_finding_below = min(self.call_only_limit, NOTABLE_RISE_BYTES)
        self.call_no_finding_below = self.no_finding_below.get("call", inf)


def _slack_limits(thresholds: SlackThresholds | None) -> tuple[int, int, float, float]:
    if thresholds is None:
        return NO_LIMIT_TOLERANCE, NO_LIMIT_TOLERANCE, inf, inf
    expensive = thresholds.use_tracker
    most = min(thresholds.fill_temporarily, expensive)
    return thresholds.ignore, thresholds.fill_permanently, most, expensive


def _phases_of(metric: str, limits: Sequence[Budget]) -> frozenset[PhaseName]:
    """The phases that limits on a metric cover."""
    mine = [limit for limit in limits if limit.metric == metric]
    return frozenset(phase for phase in PHASES if any(b.covers(phase) for b in mine))


def _no_finding_below(limit: Budget) -> float:
    """The highest peak in which a limit finds nothing.

    If the baseline value that it was made from is not exact, that depends on its lower bound.
    """
    stored = limit.baseline_value
    if stored is not None and stored.low is not None:
        return stored.low + limit.limit - stored.before
    return limit.limit * (limit.warn or 1)


def _is_resident(limit: Budget) -> bool:
    return metric_named(limit.metric).is_resident


def _includes_resident(limit: Budget) -> bool:
    return _is_resident(limit) or metric_named(limit.metric).includes_resident


def _counts_foreign(limit: Budget) -> bool:
    return _includes_resident(limit) or metric_named(limit.metric).is_traced


def _fills_on_record(limit: Budget) -> bool:
    """Whether the first call of the test is known to take more than later ones."""
    return limit.baseline_value is not None and limit.baseline_value.cold > 0


def _thresholds(limit: Budget) -> SlackThresholds:
    """What is done about slack for a limit; memray knows nothing of other processes."""
    found = thresholds_for(limit.limit, limit.before)
    return found if _is_resident(limit) else replace(found, use_tracker=inf)


def _is_metered(metric: Metric) -> bool:
    """Whether a probe of its own counts it, beside that of resident memory."""
    return not metric.is_resident and not metric.is_traced


def _call_only_limit(limits: Sequence[Budget]) -> float:
    whole = [b for b in limits if _is_resident(b) and b.stage is None]
    if any(b.phase in {"setup", "all"} for b in whole):
        return inf
    return next((float(b.limit) for b in whole if b.phase == "call"), inf)
