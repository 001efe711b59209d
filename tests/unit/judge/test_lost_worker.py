"""Tests of the rules: how a process was lost, and what drove its memory."""

from __future__ import annotations

import sys

import pytest

from pytest_memguard.judge.lost_worker import cause_of, lost_worker
from pytest_memguard.model.flights import Ending, Flight, FlightLine, Neighbour, signal_name
from pytest_memguard.sizes import MIB

KILLED = 9


@pytest.mark.parametrize(
    ("ending", "cause"),
    [
        pytest.param(Ending(signal=KILLED, oom_kills=1), "out-of-memory", id="kernel"),
        pytest.param(Ending(signal=KILLED, oom_kills=0), "killed", id="not-the-kernel"),
        pytest.param(Ending(signal=KILLED, oom_kills=None), "killed", id="not-counted"),
        pytest.param(Ending(signal=11, oom_kills=1), "crashed", id="segfault"),
        pytest.param(Ending(signal=15), "ended", id="terminated"),
        pytest.param(Ending(signal=63), "ended", id="signal-without-a-name"),
        pytest.param(Ending(exit_code=0), "exited", id="exit-0"),
        pytest.param(Ending(exit_code=3, oom_kills=1), "exited", id="exit-3"),
        pytest.param(Ending(running=True), "disconnected", id="running"),
        pytest.param(Ending(oom_kills=1), "unknown", id="not-seen"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_cause(ending, cause) -> None:
    """The signal, the exit code and the counter say how a process was lost."""
    assert cause == cause_of(ending)


@pytest.mark.parametrize(("number", "name"), [(15, "SIGTERM"), (250, "signal 250")])
def test_signal_name(number, name) -> None:
    """A signal without a name is reported by its number."""
    assert name == signal_name(number)


def course(*tests, running="now", highest=0) -> Flight:
    """A record of tests that raised the level of 50 MiB by some MiB each.

    Args:
        tests: MiB by name.
        running: the test that has started last; empty if none is running.
        highest: MiB that the process had reached when it started; the level if that is more.
    """
    lines, level = [], 50
    for name, mib in tests:
        lines.append(FlightLine(kind="start", level=level * MIB, nodeid=name))
        level += mib
        lines.append(FlightLine(kind="end", level=level * MIB, highest=level * MIB))
    if running:
        top = max(highest, level) * MIB
        lines.append(
            FlightLine(kind="start", level=level * MIB, highest=top, nodeid=running, time=10.0)
        )
    return Flight(path="gw0.flight", pid=7, worker="gw0", level=50 * MIB, lines=tuple(lines))


def at(mib, number=KILLED) -> Ending:
    """An end by a signal, at a highest level in MiB."""
    return Ending(signal=number, highest=None if mib is None else mib * MIB, oom_kills=0)


SMALL = [(f"t{n}", 5) for n in range(20)]
BIG = Neighbour(worker="gw1", level=900 * MIB, running="big", rise=800 * MIB)


@pytest.mark.parametrize(
    ("flight", "ending", "neighbours", "driver"),
    [
        pytest.param(course(), at(300), (), ("running", "now", 250), id="running"),
        pytest.param(course(("a", 200)), at(290), (), ("earlier", "a", 200), id="earlier"),
        pytest.param(course(("a", 90)), at(300), (), ("running", "now", 160), id="more-than-a"),
        pytest.param(course(*SMALL), at(170), (), ("several", "", 100), id="many-small"),
        pytest.param(
            course(*SMALL, ("a", 120)), at(280), (), ("earlier", "a", 120), id="one-of-many"
        ),
        pytest.param(
            course(*SMALL), at(180), (), ("several", "", 100), id="many-and-one-running"
        ),
        pytest.param(course(), at(55), (), ("none", "", 0), id="none"),
        pytest.param(course(), at(None), (), ("unknown", "", 0), id="not-seen"),
        pytest.param(
            course(("a", 99)), at(None), (), ("unknown", "", 0), id="a-or-the-running"
        ),
        pytest.param(
            course(("a", 99), running=""), at(None), (), ("earlier", "a", 99), id="none-running"
        ),
        pytest.param(
            course(highest=300), at(300), (), ("unknown", "", 0), id="earlier-peak-as-high"
        ),
        pytest.param(
            course(highest=300), at(302), (), ("unknown", "", 0), id="counters-differ-a-little"
        ),
        pytest.param(
            course(("a", 200), highest=300),
            at(300),
            (),
            ("earlier", "a", 200),
            id="at-most-less",
        ),
        pytest.param(
            course(highest=400), at(300), (), ("running", "now", 250), id="reset-since-then"
        ),
        pytest.param(
            course(("a", 200)), at(260), (BIG,), ("neighbour", "big", 800), id="neighbour"
        ),
        pytest.param(
            course(("a", 900)), at(990), (BIG,), ("earlier", "a", 900), id="smaller-neighbour"
        ),
        pytest.param(course(("a", 99)), at(300, 11), (), ("none", "", 0), id="segfault"),
        pytest.param(course(("a", 99)), at(150, 6), (), ("earlier", "a", 99), id="abort"),
        pytest.param(course(("a", 99)), Ending(exit_code=3), (), ("none", "", 0), id="exit"),
        pytest.param(Flight(path="x"), at(99), (), ("unknown", "", 0), id="no-record"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_driver(flight, ending, neighbours, driver) -> None:
    """The test that had the most memory is named, and none if that is not known."""
    lost = lost_worker(flight, ending, neighbours=neighbours, now=12.0)
    kind, test, mib = driver
    assert (kind, test, mib * MIB) == (lost.driver, lost.driver_test, lost.driver_size)


def test_numbers() -> None:
    """The rises of all tests add up to the level at which the running test started."""
    lost = lost_worker(course(*SMALL, ("tiny", 0), ("a", 30)), at(190), now=12.5)
    assert (
        lost.running,
        lost.running_seconds,
        lost.level,
        lost.rise,
    ) == ("now", 2.5, 180 * MIB, 10 * MIB)
    assert [(s.nodeid, s.size // MIB) for s in lost.raised[:2]] == [("a", 30), ("t0", 5)]
    assert (len(lost.raised), lost.more_tests, lost.more_size) == (5, 16, 80 * MIB)
    assert (lost.before, lost.tests) == (50 * MIB, 22)


def test_a_test_that_ran_twice() -> None:
    """Rises of a test in several runs are added up."""
    lost = lost_worker(course(("a", 10), ("b", 15), ("a", 10)), at(96))
    assert [(s.nodeid, s.size // MIB) for s in lost.raised] == [("a", 20), ("b", 15)]
