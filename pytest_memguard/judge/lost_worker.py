"""Decides how a process was lost, and which test drove its memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from math import inf, isinf
from typing import Final, NamedTuple

from pytest_memguard.judge.raised_levels import Course, course_of
from pytest_memguard.model.flights import (
    Cause,
    Driver,
    Ending,
    Flight,
    LostWorker,
    Neighbour,
    Span,
    signal_name,
)
from pytest_memguard.sizes import MIB

SHOWN: Final = 5
"""Number of tests that are named among those that raised the level."""
LEAST_NAMED: Final = MIB
"""Least bytes for which a test is named."""
LEAST_DRIVER: Final = 16 * MIB
"""Least bytes that count as having driven the memory of a process."""
_DRIFT: Final = 4 * MIB
"""Bytes by which two readings of the same highest level may differ: each processor counts pages
for itself, and adds them up now and then."""
_SEVERAL_SHARE: Final = 0.5
"""Most of what all tests have raised that the largest of them may have, for "several"."""
_FAULTS: Final = frozenset({"SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL", "SIGFPE", "SIGTRAP"})
_OF_MEMORY: Final = frozenset({"SIGABRT", "SIGBUS"})
"""Faults that often come from a failed allocation: C++ and Rust abort, shared memory faults."""


def cause_of(ending: Ending) -> Cause:
    """Return how a process was lost.

    Args:
        ending: what is known about its end.
    """
    if ending.running:
        return "disconnected"
    if ending.exit_code is not None:
        return "exited"
    if ending.signal is None:
        return "unknown"
    name = signal_name(ending.signal)
    if name == "SIGKILL":
        return "out-of-memory" if ending.oom_kills else "killed"
    return "crashed" if name in _FAULTS else "ended"


def was_for_memory(lost: LostWorker) -> bool:
    """Return whether a process was killed, and memory is a likely reason.

    Args:
        lost: what is known about it.
    """
    return lost.cause == "out-of-memory" or (lost.cause == "killed" and lost.driver != "none")


def lost_worker(
    flight: Flight,
    ending: Ending,
    *,
    neighbours: Sequence[Neighbour] = (),
    now: float | None = None,
) -> LostWorker:
    """Return everything that is known about a lost process.

    Args:
        flight: its flight record.
        ending: what is known about its end.
        neighbours: the other processes at that moment.
        now: seconds since 1970 of the end; ``None`` if that is not known.
    """
    cause = cause_of(ending)
    course = course_of(flight)
    rise = _rise(course, ending.highest)
    named, more = _by_test(course.spans)
    raised = named[:SHOWN]
    more_size = more.size + sum(span.size for span in named[SHOWN:])
    total = sum(span.size for span in named) + more.size
    found: tuple[Driver, str, int] = ("none", "", 0)
    if _may_be_memory(cause, ending) and not flight.pid:
        found = ("unknown", "", 0)
    elif _may_be_memory(cause, ending):
        found = _driver(course, rise, named, total, neighbours)
    driver, driver_test, driver_size = found
    return LostWorker(
        worker=flight.worker,
        cause=cause,
        ending=ending,
        driver=driver,
        driver_test=driver_test,
        driver_size=driver_size,
        running=course.running,
        running_seconds=now - course.time if now is not None and course.running else None,
        level=course.level if flight.pid else None,
        rise=None if isinf(rise.most) or not course.running else int(rise.most),
        rise_is_bound=rise.most > rise.least,
        raised=tuple(raised),
        more_tests=more.tests + len(named) - len(raised),
        more_size=more_size,
        before=course.level - total,
        tests=course.tests,
        neighbours=tuple(neighbours),
        problems=flight.problems,
        record=flight.path,
        time=course.time if now is None else now,
    )


class _Rise(NamedTuple):
    """By how much the level rose during the running test."""

    least: float
    most: float


def _rise(course: Course, highest: int | None) -> _Rise:
    """Return by how much the level rose during the running test.

    The highest level of the process is that of the running test if it is not the one that was
    known when the test started: if it is lower, it was reset since then.

    Args:
        course: of the process.
        highest: the highest level at its end; ``None`` if that is not known.
    """
    if not course.running:
        return _Rise(0, 0)
    if highest is None:
        return _Rise(0, inf)
    rise = max(0, highest - course.level)
    is_other = abs(highest - course.highest) > _DRIFT
    return _Rise(rise if is_other else 0, rise)


def _by_test(spans: Sequence[Span]) -> tuple[list[Span], Span]:
    """Return what each test has raised, the largest first, and the rest as one.

    A test that was run again has several ranges, which are added up.
    """
    sizes: defaultdict[str, int] = defaultdict(int)
    rest = tests = 0
    for span in spans:
        if span.nodeid:
            sizes[span.nodeid] += span.size
        elif span.tests:
            rest, tests = rest + span.size, tests + span.tests
    named = [
        Span(low=0, high=size, nodeid=nodeid)
        for nodeid, size in sizes.items()
        if size >= LEAST_NAMED
    ]
    small = [size for size in sizes.values() if size < LEAST_NAMED]
    named.sort(key=lambda span: (-span.size, span.nodeid))
    return named, Span(low=0, high=rest + sum(small), nodeid="", tests=tests + len(small))


def _may_be_memory(cause: Cause, ending: Ending) -> bool:
    if cause == "crashed":
        return ending.signal is not None and signal_name(ending.signal) in _OF_MEMORY
    return cause in {"out-of-memory", "killed", "unknown"}


def _driver(
    course: Course,
    rise: _Rise,
    named: Sequence[Span],
    total: int,
    neighbours: Sequence[Neighbour],
) -> tuple[Driver, str, int]:
    """Return what drove the memory, the test, and how much it is.

    Args:
        course: of the lost process.
        rise: of the running test.
        named: what single tests have raised for good, the largest first.
        total: what all tests have raised.
        neighbours: the other processes.
    """
    other = max(neighbours, key=lambda neighbour: neighbour.rise, default=None)
    most_here = max(total, rise.least, LEAST_DRIVER)
    if other is not None and other.running and other.rise > most_here:
        return "neighbour", other.running, other.rise
    largest = named[0] if named else Span(low=0, high=0, nodeid="")
    if rise.least >= max(LEAST_DRIVER, largest.size) and total <= 2 * rise.least:
        return "running", course.running, int(rise.least)
    if rise.most >= max(LEAST_DRIVER, largest.size) and rise.most > rise.least:
        return "unknown", "", 0
    if total < LEAST_DRIVER:
        return "none", "", 0
    if largest.size <= _SEVERAL_SHARE * total:
        return "several", "", total
    return "earlier", largest.nodeid, largest.size
