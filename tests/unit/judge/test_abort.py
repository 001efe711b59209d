"""Tests of the rule which tests had the memory of a run that was stopped."""

from __future__ import annotations

import pytest

from pytest_memguard.judge.abort import SHOWN, abort_of
from pytest_memguard.model.aborts import Breach, Part, ProcessLevel, last_line, reserve_of
from pytest_memguard.model.flights import Flight, FlightLine
from pytest_memguard.sizes import GIB, MIB


def flight(pid, *tests, running="", worker="") -> Flight:
    """A record of a process of 50 MiB, whose tests have kept some MiB each."""
    lines, level = [], 50
    for name, mib in tests:
        lines.append(FlightLine(kind="start", level=level * MIB, nodeid=name))
        level += mib
        lines.append(FlightLine(kind="end", level=level * MIB))
    if running:
        lines.append(FlightLine(kind="start", level=level * MIB, nodeid=running))
    return Flight(path="", worker=worker, pid=pid, level=50 * MIB, lines=tuple(lines))


def found(levels, *flights, workers=()) -> tuple[list[tuple], int, int, int]:
    """Return the parts, the number and MiB of further tests, and the rest in MiB.

    Args:
        levels: number, parent and MiB of each process.
        flights: the records.
        workers: number and name of each worker.
    """
    processes = tuple(ProcessLevel(pid=p, parent=q, size=n * MIB) for p, q, n in levels)
    used = sum(process.size for process in processes)
    breach = Breach(used=used, available=None, source="", processes=processes)
    abort = abort_of(breach, flights, dict(workers), reason="r", time=1.0, problems=["p"])
    assert (abort.reason, abort.time, abort.problems, abort.used) == ("r", 1.0, ("p",), used)
    parts = [
        (part.nodeid, part.worker, part.size // MIB, part.running, part.children // MIB)
        for part in abort.parts
    ]
    shown = sum(part.size for part in abort.parts)
    assert used == shown + abort.more_size + abort.rest
    return parts, abort.more_tests, abort.more_size // MIB, abort.rest // MIB


@pytest.mark.parametrize(
    ("levels", "flights", "workers", "parts", "rest"),
    [
        pytest.param(
            [(1, 0, 300)],
            [flight(1, running="a")],
            [],
            [("a", "", 250, True, 0)],
            50,
            id="running",
        ),
        pytest.param(
            [(1, 0, 300)],
            [flight(1, ("a", 100), ("b", 120), running="c")],
            [],
            [("b", "", 120, False, 0), ("a", "", 100, False, 0), ("c", "", 30, True, 0)],
            50,
            id="kept",
        ),
        pytest.param(
            [(1, 0, 60), (2, 1, 200), (3, 2, 40)],
            [flight(1, running="a")],
            [],
            [("a", "", 250, True, 240)],
            50,
            id="children-and-theirs",
        ),
        pytest.param(
            [(1, 0, 60), (9, 8, 200)],
            [flight(1, running="a")],
            [],
            [("a", "", 10, True, 0)],
            250,
            id="no-parent",
        ),
        pytest.param(
            [(1, 0, 40), (2, 1, 300), (3, 1, 150)],
            [flight(2, running="a", worker="gw0"), flight(3, ("b", 100), worker="gw1")],
            [(2, "gw0"), (3, "gw1")],
            [("a", "gw0", 250, True, 0), ("b", "gw1", 100, False, 0)],
            140,
            id="workers",
        ),
        pytest.param(
            [(1, 0, 40), (2, 1, 300), (3, 1, 150)],
            [flight(2, running="a", worker="gw0")],
            [(2, "gw0"), (3, "gw1")],
            [("a", "gw0", 250, True, 0), ("", "gw1", 150, False, 0)],
            90,
            id="worker-at-its-end",
        ),
        pytest.param([(1, 0, 40), (2, 1, 300)], [], [(2, "gw0")], [], 340, id="no-records"),
        pytest.param(
            [(1, 0, 50)], [flight(2, running="a")], [], [], 50, id="a-process-that-has-ended"
        ),
    ],
)
def test_parts(levels, flights, workers, parts, rest) -> None:
    """The running test has the rise and the children, earlier tests what they kept."""
    assert (parts, 0, 0, rest) == found(levels, *flights, workers=workers)


def test_many_tests() -> None:
    """The largest are named, the others are one number, and what is tiny is not a test's."""
    tests = [(f"t{n:02}", 2) for n in range(SHOWN + 5)]
    parts, more, size, rest = found([(1, 0, 50 + 2 * len(tests))], flight(1, *tests))
    assert [name for name, _ in tests[:SHOWN]] == [part[0] for part in parts]
    assert (more, size, rest) == (5, 10, 50)


def test_tests_that_had_little_are_not_named() -> None:
    """Beside the three largest, one that had less than a fiftieth is one of the others."""
    tests = [(f"t{n}", 2) for n in range(6)]
    parts, more, size, _ = found([(1, 0, 962)], flight(1, *tests, running="a"))
    assert [part[0] for part in parts] == ["a", "t0", "t1"]
    assert (more, size) == (4, 8)


def test_named_once() -> None:
    """A test that was run twice is named once, with the sum."""
    parts, *_ = found([(1, 0, 100)], flight(1, ("a", 20), ("b", 10), ("a", 20)))
    assert [(part[0], part[2]) for part in parts] == [("a", 40), ("b", 10)]


def test_the_same_test_in_two_workers() -> None:
    """Each worker's part is named."""
    assert (
        len(found([(1, 0, 90), (2, 0, 90)], flight(1, running="a"), flight(2, running="a"))[0])
        == 2
    )


@pytest.mark.parametrize(
    ("limit", "reserve"),
    [(256 * MIB, 64 * MIB), (4 * GIB, int(0.05 * 4 * GIB)), (64 * GIB, GIB)],
)
def test_reserve(limit, reserve) -> None:
    """A twentieth is left alone, within bounds."""
    assert reserve == reserve_of(limit)


def test_last_line() -> None:
    """A run is never killed before it could be stopped."""
    assert last_line(400 * MIB) == 564 * MIB


def test_part() -> None:
    """A test has no children unless they are given."""
    assert Part(nodeid="a", worker="", size=1, running=True).children == 0
