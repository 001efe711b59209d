"""Turns stored readings into one value for each commit, and finds changes of a test's level."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from pytest_memguard.judge.change_points import find_steps
from pytest_memguard.model.past_runs import PastReading, PastRun, Point, Trend
from pytest_memguard.sizes import MIB


def trends(runs: Sequence[PastRun], readings: Iterable[PastReading]) -> list[Trend]:
    """Return the history of each test in each environment.

    Args:
        runs: the runs, in order.
        readings: readings of these runs; those of one test are in the order of the runs.

    Returns:
        Sorted by node id, then by environment.
    """
    by_number = {run.number: run for run in runs}
    found: dict[tuple[str, str], list[PastReading]] = {}
    for reading in readings:
        environment = by_number[reading.run].environment
        found.setdefault((reading.nodeid, environment), []).append(reading)
    return [
        _trend(nodeid, environment, points_of(by_number, found[nodeid, environment]))
        for nodeid, environment in sorted(found)
    ]


def _trend(nodeid: str, environment: str, points: tuple[Point, ...]) -> Trend:
    judged = [point for point in points if point.value is not None]
    steps = find_steps([point.value or 0 for point in judged])
    found = tuple((judged[step.at], step) for step in steps)
    return Trend(nodeid=nodeid, environment=environment, points=points, steps=found)


def points_of(runs: dict[int, PastRun], readings: Sequence[PastReading]) -> tuple[Point, ...]:
    """Return a point for each commit, in the order in which they were first tested.

    A run with uncommitted changes, or of an unknown commit, is a point of its own.
    """
    groups: dict[str | int, list[PastReading]] = {}
    for reading in readings:
        commit = runs[reading.run].commit
        key = commit.name if commit.name and not commit.dirty else reading.run
        groups.setdefault(key, []).append(reading)
    return tuple(
        Point(run=runs[group[0].run], value=_value(group), readings=tuple(group))
        for group in groups.values()
    )


def _value(readings: Sequence[PastReading]) -> int | None:
    peaks = [r.peak for r in readings if r.peak is not None and can_be_judged(r)]
    return int(median(peaks)) if peaks else None


def can_be_judged(reading: PastReading) -> bool:
    """Return whether a peak is that of the whole test, and known well enough.

    A test that failed was cut short, unless it failed because of its memory. A peak that may be
    much too low, because earlier tests left slack, says nothing about a level.
    """
    if reading.peak is None or reading.ceiling is None:
        return False
    whole = reading.outcome in {"passed", "xpassed"} or bool(reading.finding)
    return whole and reading.ceiling - reading.peak <= max(4 * MIB, reading.peak // 10)
