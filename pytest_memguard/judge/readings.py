"""Turns the results of a run into baseline entries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from operator import attrgetter
from typing import Final

from pytest_memguard.judge.relative_paths import relative_path
from pytest_memguard.judge.slack_thresholds import NEGLIGIBLE_SLACK
from pytest_memguard.model.baselines import (
    Baseline,
    BaselineEntry,
    EnvironmentKey,
    LineEntry,
    StageEntry,
)
from pytest_memguard.model.leak_sizes import bytes_of_all
from pytest_memguard.model.measurements import CallSite, Peak
from pytest_memguard.model.metrics import RSS, metric_named
from pytest_memguard.model.results import Environment, Outcome, Run

LINES: Final = 10
"""How many lines are stored for one test."""
_COUNT: Final = frozenset({"passed", "xpassed"})


def environment_key(environment: Environment, metric: str = RSS.name) -> EnvironmentKey:
    """Return the key under which a baseline stores numbers of this environment and metric."""
    system, _, machine = environment.platform.partition(" ")
    return EnvironmentKey(
        system=system,
        machine=machine,
        implementation=environment.implementation,
        python=".".join(environment.python.split(".")[:2]),
        metric=metric,
    )


def readings(run: Run, root: str = "", *, breaches: bool = False) -> Baseline:
    """Return every number of a run that can be compared or stored.

    Args:
        run: the run; tests that did not pass are left out.
        root: folder that paths of lines are made relative to.
        breaches: whether tests count that failed only because of our findings.

    Returns:
        Numbers as measured; numbers of one test from several processes become one entry.
    """
    found: dict[EnvironmentKey, dict[str, BaselineEntry]] = {}
    for nodeid, several in by_test(sorted(run.outcomes, key=attrgetter("nodeid"))):
        for metric, entry in pooled_entries(several, root, breaches=breaches).items():
            found.setdefault(environment_key(run.environment, metric), {})[nodeid] = entry
    return Baseline(environments=found)


def by_test(outcomes: Iterable[Outcome]) -> Iterator[tuple[str, Sequence[Outcome]]]:
    """Yield each test with its results; there are several if several processes ran it.

    Args:
        outcomes: sorted by node id; the results of one test at a time are in memory.
    """
    for nodeid, several in groupby(outcomes, key=attrgetter("nodeid")):
        yield nodeid, list(several)


def pooled_entries(
    several: Iterable[Outcome], root: str = "", *, breaches: bool = False
) -> Mapping[str, BaselineEntry]:
    """Return the entries of one test by metric, made from the results of all processes.

    Args:
        several: all results of the test.
        root: folder that paths of lines are made relative to.
        breaches: whether a test counts that failed only because of our findings.
    """
    found: dict[str, list[BaselineEntry]] = {}
    for outcome in several:
        for metric, entry in entries(outcome, root, breaches=breaches).items():
            found.setdefault(metric, []).append(entry)
    return {metric: pooled(readings) for metric, readings in found.items()}


def entries(
    outcome: Outcome, root: str = "", *, breaches: bool = False
) -> Mapping[str, BaselineEntry]:
    """Return the entries of one result by metric; none unless the call was measured and passed.

    Args:
        outcome: the result.
        root: folder that paths of lines are made relative to.
        breaches: whether a test counts that failed only because of our findings.
    """
    call = outcome.phase("call")
    counts = outcome.result in _COUNT or (breaches and _breached_alone(outcome))
    if not counts or call is None:
        return {}
    # numbers of a tracker that ran for another reason may be missing in the next run
    asked = {RSS.name, *(budget.metric for budget in outcome.budgets if budget.covers("call"))}
    found = {peak.metric: peak for peak in call.peaks if peak.metric in asked}
    return {metric: _entry(outcome, peak, root) for metric, peak in found.items()}


def _breached_alone(outcome: Outcome) -> bool:
    """Return whether a test failed only because of our findings after it had run to its end.

    A budget on a stage may end a test early; then its other numbers mean nothing.
    """
    leak = outcome.leak
    leaks = leak is not None and leak.fails
    return outcome.result == "failed" and (
        leaks
        or any(
            f.raised and (f.rule == "regression" or f.budget.stage is None)
            for f in outcome.findings
        )
    )


def pooled(several: Iterable[BaselineEntry]) -> BaselineEntry:
    """Return one entry for several readings of one test: the highest, with their spread.

    Readings with more imports than others are left out.
    """
    all_of_them = list(several)
    fewest = min(entry.imports for entry in all_of_them)
    alike = [entry for entry in all_of_them if entry.imports == fewest]
    highest = max(alike, key=lambda entry: entry.peak)
    lowest = min(entry.peak - entry.spread for entry in alike)
    return replace(
        highest,
        spread=highest.peak - lowest,
        readings=sum(entry.readings for entry in alike),
    )


def _entry(outcome: Outcome, peak: Peak, root: str) -> BaselineEntry:
    resident = metric_named(peak.metric).is_resident
    cold = outcome.cold
    is_cold = cold is not None and cold.metric == peak.metric
    return BaselineEntry(
        peak=peak.value,
        growth=outcome.growth if resident else 0,
        ceiling=_ceiling(peak),
        stages=tuple(
            StageEntry(
                path=stage.path,
                peak=top.value,
                delta=stage.delta if resident else 0,
                ceiling=_ceiling(top),
            )
            for stage in outcome.stages
            if (top := stage.peak(peak.metric)) is not None
        ),
        lines=_lines(outcome, peak.metric, root),
        leak=_leak(outcome) if resident else None,
        imports=outcome.imports,
        cold=cold.value if cold is not None and is_cold else 0,
        fills=outcome.fills if is_cold else (),
    )


def _ceiling(peak: Peak) -> int:
    """Return the upper bound of a peak if it is far enough above the peak to matter, or 0."""
    return peak.high if peak.high - peak.value > NEGLIGIBLE_SLACK else 0


def _leak(outcome: Outcome) -> float | None:
    if outcome.leak is None or outcome.leak.verdict.state not in {"clean", "leaking"}:
        return None
    if outcome.leak.verdict.state == "clean":
        return 0.0
    return bytes_of_all(outcome.leak)


def _lines(outcome: Outcome, metric: str, root: str) -> tuple[LineEntry, ...]:
    sites: list[CallSite] = []
    for finding in outcome.findings:
        if finding.peak is not None and finding.peak.metric == metric:
            sites += finding.sites
    for stage in outcome.stages:
        sites += stage.lines
    largest: dict[tuple[str, int, str], int] = {}
    for site in sites:
        key = (relative_path(site.file, root), site.line, site.function)
        largest[key] = max(site.size, largest.get(key, 0))
    ranked = sorted(largest.items(), key=lambda item: (-item[1], item[0]))
    return tuple(
        LineEntry(file=file, line=line, function=function, size=size)
        for (file, line, function), size in ranked[:LINES]
    )
