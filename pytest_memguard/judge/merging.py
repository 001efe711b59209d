"""Merges readings into baseline entries; saving the same numbers again changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from math import ceil, floor, log10
from operator import attrgetter
from typing import Final

from pytest_memguard.judge.cold_and_warm import NOTABLE, joined_fills
from pytest_memguard.judge.imports import imports_may_explain
from pytest_memguard.judge.noise import (
    READINGS,
    assumed,
    noise,
    noise_of_growth,
)
from pytest_memguard.judge.slack_thresholds import RSS_RESOLUTION
from pytest_memguard.model.baselines import Baseline, BaselineEntry, EnvironmentKey
from pytest_memguard.model.metrics import RSS, metric_named
from pytest_memguard.sizes import KIB

_STEPS_IN_A_VALUE: Final = 64
_LEAK_SHARE: Final = 0.1
_LEAK_LEAST: Final = 8.0


def merged(
    before: BaselineEntry | None, now: BaselineEntry, metric: str = RSS.name
) -> BaselineEntry:
    """Return the entry to store after a new reading.

    If noise explains a reading, the peak stays and the spread may grow; an entry that rests on
    enough readings stays as it is, so that saving again makes no difference. Any other reading
    replaces the entry. A reading with more imports than the entry has is ignored as long as
    these imports may be why it is larger.

    Args:
        before: the stored entry; ``None`` if there is none.
        now: the reading.
        metric: the metric of both.

    Returns:
        The entry, with rounded numbers.
    """
    return _with_cold(_merged(before, now, metric), before, now, metric)


def _with_cold(
    entry: BaselineEntry, before: BaselineEntry | None, now: BaselineEntry, metric: str
) -> BaselineEntry:
    """Return the entry with the cold peak of a reading that has one, or else of the entry."""
    source = rounded(now, metric)
    if before is not None and (
        not now.cold or abs(now.cold - before.cold) <= assumed(before.cold, metric)
    ):
        source = before
    differs = source.cold > entry.peak + NOTABLE
    return replace(
        entry,
        cold=source.cold if differs else 0,
        fills=source.fills if differs else (),
    )


def _merged(before: BaselineEntry | None, now: BaselineEntry, metric: str) -> BaselineEntry:
    if before is None or now.imports < before.imports:
        fresh = rounded(now, metric)
        if before is None or now.leak is not None:
            return fresh
        return replace(fresh, leak=before.leak)
    if imports_may_explain(before, now, _most_grown(before, now)):
        return replace(before, leak=_leak(before.leak, now.leak))
    exact_at_last = before.ceiling > 0 and not now.ceiling
    if exact_at_last or not _same_level(before, now, metric):
        return replace(rounded(now, metric), leak=_leak(before.leak, now.leak))
    return _rest(_widened(before, now, metric), now, metric)


def merge_baselines(old: Baseline, new: Baseline) -> Baseline:
    """Return all entries of both baselines; entries of the same test are merged."""
    environments: dict[EnvironmentKey, Mapping[str, BaselineEntry]] = dict(old.environments)
    for environment, entries in new.environments.items():
        stored = dict(environments.get(environment, {}))
        for nodeid, now in entries.items():
            stored[nodeid] = merged(stored.get(nodeid), now, environment.metric)
        environments[environment] = stored
    cold, together = (
        frozenset(
            environment
            for environment in environments
            if all(environment in of(p) for p in (old, new) if environment in p.environments)
        )
        for of in (attrgetter("measured_cold"), attrgetter("measured_together"))
    )
    loaded = {
        environment: frozenset().union(*(p.loaded[environment] for p in parts))
        for environment in environments
        if (parts := [p for p in (old, new) if environment in p.environments])
        and all(environment in p.loaded for p in parts)
    }
    filled = {
        environment: joined_fills(
            old.filled.get(environment, ()),
            new.filled.get(environment, ()),
            has_new_tests=not _tests(old, environment) >= _tests(new, environment),
        )
        for environment in (*old.filled, *new.filled)
    }
    return Baseline(
        environments=environments,
        measured_cold=cold,
        loaded=loaded,
        filled=filled,
        measured_together=together,
    )


def _tests(baseline: Baseline, environment: EnvironmentKey) -> AbstractSet[str]:
    return baseline.environments.get(environment, {}).keys()


def rounded(entry: BaselineEntry, metric: str = RSS.name) -> BaselineEntry:
    """Return an entry with rounded numbers, so that noise rarely changes them.

    Steps are about 1 % of a number. Peaks are rounded up, so that no reading is above its own
    entry.
    """
    least = metric_named(metric).step
    return replace(
        entry,
        peak=round_up(entry.peak, least),
        ceiling=round_up(entry.ceiling, least) if entry.ceiling > entry.peak else 0,
        growth=_nearest(entry.growth, least),
        cold=round_up(entry.cold, least) if entry.cold > entry.peak else 0,
        fills=tuple(replace(fill, size=_nearest(fill.size, KIB)) for fill in entry.fills),
        spread=round_up(entry.spread, least),
        readings=min(entry.readings, READINGS),
        stages=tuple(
            replace(
                stage,
                peak=round_up(stage.peak, least),
                delta=_nearest(stage.delta, least),
                ceiling=round_up(stage.ceiling, least) if stage.ceiling > stage.peak else 0,
            )
            for stage in entry.stages
        ),
        lines=tuple(replace(line, size=_nearest(line.size, KIB)) for line in entry.lines),
        leak=_round_leak(entry.leak),
    )


def round_up(value: int, least: int) -> int:
    """Return the next multiple of a step: about 1 % of the value, at least ``least``."""
    step = _step(value, least)
    return -(-value // step) * step


def _nearest(value: int, least: int) -> int:
    step = _step(abs(value), least)
    return round(value / step) * step


def _step(value: int, least: int) -> int:
    step = least
    while step * 2 * _STEPS_IN_A_VALUE <= value:
        step *= 2
    return step


def _band(entry: BaselineEntry, metric: str) -> int:
    """Return by how much another reading may differ and still be at the same level."""
    return max(noise(entry, metric), assumed(entry.peak, metric))


def _same_level(before: BaselineEntry, now: BaselineEntry, metric: str) -> bool:
    """Return whether noise explains a reading, or may explain it given its upper bound."""
    band = _band(before, metric)
    highest = max(before.peak + band, before.ceiling)
    top = max(now.peak, now.ceiling)
    return now.peak <= highest and top >= before.peak - before.spread - band


def _most_grown(before: BaselineEntry, now: BaselineEntry) -> int:
    """Return by how much the number that grew most is above the entry."""
    known = {stage.path: stage.peak for stage in before.stages}
    grown = [stage.peak - known.get(stage.path, 0) for stage in now.stages]
    return max(now.peak - before.peak, now.growth - before.growth, *grown)


def _widened(before: BaselineEntry, now: BaselineEntry, metric: str) -> BaselineEntry:
    """Return the entry with one more reading of the same level."""
    lowest = before.peak - before.spread
    explained = noise(before, metric)
    if before.readings >= READINGS and (
        lowest - explained <= now.peak <= before.peak + explained
    ):
        return before
    if now.ceiling and not before.ceiling and now.peak <= before.peak:
        return before  # the peak may be the same: nothing new is known
    least = metric_named(metric).step
    high = max(before.peak, round_up(now.peak, least))
    if before.ceiling or now.ceiling:
        spread = before.spread  # inexact peaks do not show the spread
    else:
        spread = high - min(lowest, round_up(now.peak - now.spread, least))
    tops = [top for top in (before.ceiling, round_up(now.ceiling, least)) if top]
    return replace(
        before,
        peak=high,
        spread=round_up(spread, least),
        readings=min(before.readings + now.readings, READINGS),
        ceiling=max(high, min(tops)) if len(tops) == 2 else 0,
    )


def _rest(entry: BaselineEntry, now: BaselineEntry, metric: str) -> BaselineEntry:
    """Return the entry with growth, stages, lines and leak, kept where noise explains them."""
    more = noise(entry, metric)
    less = max(_band(entry, metric), 2 * RSS_RESOLUTION) + entry.spread
    fresh = rounded(now, metric)
    stages = fresh.stages
    if [was.path for was in entry.stages] == [stage.path for stage in stages]:
        triples = zip(entry.stages, now.stages, stages, strict=True)
        stages = tuple(
            was if -less <= stage.peak - was.peak <= more else new
            for was, stage, new in triples
        )
    same_growth = abs(now.growth - entry.growth) <= noise_of_growth(entry)
    return replace(
        entry,
        growth=entry.growth if same_growth else fresh.growth,
        stages=stages,
        lines=entry.lines or fresh.lines,
        leak=_leak(entry.leak, now.leak),
    )


def _leak(was: float | None, now: float | None) -> float | None:
    """Return the stored leak unless the new one is larger, or clearly smaller."""
    if now is None:
        return was
    if was is not None and 0 <= was - now <= max(_LEAK_SHARE * was, _LEAK_LEAST):
        return was
    return _round_leak(now)


def _round_leak(leak: float | None) -> float | None:
    """Return a leak rounded up to two digits."""
    if not leak:
        return leak
    step = 10.0 ** max(floor(log10(leak)) - 1, -2)
    return float(f"{ceil(leak / step - 1e-9) * step:.2g}")
