"""Decides which tests had the memory of a run that was stopped."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from pytest_memguard.judge.raised_levels import course_of
from pytest_memguard.model.aborts import Abort, Breach, Part
from pytest_memguard.model.flights import Flight
from pytest_memguard.sizes import MIB

SHOWN: Final = 10
"""Number of tests that are named at most."""
_ALWAYS_NAMED: Final = 3
_LEAST_NAMED: Final = MIB
_SHARE_NAMED: Final = 0.02


def abort_of(
    breach: Breach,
    flights: Sequence[Flight],
    workers: Mapping[int, str],
    *,
    reason: str,
    time: float,
    problems: Sequence[str] = (),
) -> Abort:
    """Return why a run was stopped, and which tests had the memory.

    Args:
        breach: the moment.
        flights: the flight records of its processes.
        workers: names of workers by their number; one without a record has no more tests.
        reason: what it passed.
        time: seconds since 1970.
        problems: what is not known.
    """
    sizes = {process.pid: process.size for process in breach.processes}
    children = _by_flight(breach, {flight.pid for flight in flights})
    parts = [
        part
        for flight in flights
        for part in _parts(flight, sizes.get(flight.pid), children.get(flight.pid, 0))
    ]
    recorded = {flight.pid for flight in flights}
    parts += [
        Part(nodeid="", worker=workers[pid], size=size, running=False)
        for pid, size in sizes.items()
        if flights and pid in workers and pid not in recorded
    ]
    parts.sort(key=lambda part: (-part.size, part.nodeid))
    large = [part for part in parts if _has_name(part) and part.size >= _LEAST_NAMED][:SHOWN]
    least = _SHARE_NAMED * breach.used
    named = [part for at, part in enumerate(large) if at < _ALWAYS_NAMED or part.size >= least]
    others = [part for part in parts if part not in named]
    if sum(part.size for part in others) < _LEAST_NAMED:
        others = []
    return Abort(
        reason=reason,
        used=breach.used,
        parts=tuple(named),
        more_tests=len({part.nodeid for part in others if part.nodeid}),
        more_size=sum(part.size for part in others),
        rest=max(0, breach.used - sum(part.size for part in (*named, *others))),
        problems=tuple(problems),
        time=time,
    )


def _has_name(part: Part) -> bool:
    return bool(part.nodeid or part.worker)


def _by_flight(breach: Breach, pids: set[int]) -> Mapping[int, int]:
    """Return what the descendants of each process with a record have."""
    parents = {process.pid: process.parent for process in breach.processes}
    found: defaultdict[int, int] = defaultdict(int)
    for process in breach.processes:
        if process.pid in pids:
            continue
        seen, above = {process.pid}, process.parent
        while above not in pids and above in parents and above not in seen:
            seen.add(above)
            above = parents[above]
        if above in pids:
            found[above] += process.size
    return found


def _parts(flight: Flight, level: int | None, children: int) -> Iterator[Part]:
    """Yield what tests have of one process.

    Args:
        flight: its record.
        level: its resident bytes; ``None`` if they are not known.
        children: those of its descendants.
    """
    course = course_of(flight)
    if course.running:
        rise = max(0, (course.level if level is None else level) - course.level)
        yield Part(
            nodeid=course.running,
            worker=flight.worker,
            size=rise + children,
            running=True,
            children=children,
        )
    kept: dict[str, Part] = {}
    for span in course.spans:
        if not span.tests:
            continue
        part = Part(nodeid=span.nodeid, worker=flight.worker, size=0, running=False)
        part = kept.get(span.nodeid, part)
        kept[span.nodeid] = replace(part, size=part.size + span.size)
    yield from kept.values()
