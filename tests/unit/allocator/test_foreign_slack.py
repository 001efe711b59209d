"""Tests of the bound of the slack of other allocators."""

from __future__ import annotations

import pytest

from pytest_memguard.allocator.foreign_slack import ForeignSlack
from pytest_memguard.judge.slack_thresholds import RSS_RESOLUTION
from pytest_memguard.probes.ours import Ours
from pytest_memguard.sizes import MIB
from tests.support.fakes import FakeProbe, FakeSlack

EXPLAINED = 50 * MIB
COST = 0.02


class Process:
    """A process of 50 MiB that is explained, 2 MiB of changed files, and what a test adds.

    A bound is 1 MiB more than that: an arena of CPython's may not have been touched.
    """

    def __init__(self, clock) -> None:
        """Begin without any other allocator."""
        self.foreign, self.files, self.in_use = 0, 2 * MIB, 0
        self.exactly = FakeProbe(clock, 0, COST)
        self.slack = ForeignSlack(self._anonymous, self._exactly, lambda: self.in_use)

    def _anonymous(self) -> int:
        return EXPLAINED + self.foreign + self.files

    def _exactly(self, most: int) -> int:
        assert most >= EXPLAINED + MIB
        self.exactly()
        return EXPLAINED + self.foreign

    def bound(self, tolerance=2 * MIB, **values) -> float:
        """The bound now, in MiB."""
        found = FakeSlack(0, explained=EXPLAINED, **values)
        return self.slack.bound(found, tolerance) / MIB


@pytest.fixture
def process(clock, monkeypatch) -> Process:
    """A process with a clock that tests set, in which memray has not run."""
    monkeypatch.setattr("pytest_memguard.allocator.foreign_slack.Clock.seconds", clock)
    monkeypatch.setattr("pytest_memguard.allocator.foreign_slack.Clock.cpu", clock)
    monkeypatch.setattr(Ours, "size", 0)
    return Process(clock)


def test_all_that_is_unexplained_may_be_free(process) -> None:
    """Unexplained memory is counted exactly, without changed pages of files."""
    process.foreign = 30 * MIB
    assert process.bound() == 31
    assert process.exactly.calls == 1


def test_what_does_not_matter_is_not_counted(process) -> None:
    """Below the tolerance the quick bound is enough."""
    assert process.bound() == 3
    assert process.bound(tolerance=100 * MIB) == 3
    assert process.exactly.calls == 0


def test_less_than_an_arena_does_not_count(process) -> None:
    """An arena that was not touched yet explains more than there is."""
    process.files, process.foreign = 0, MIB
    assert process.bound(tolerance=0) == 0


def test_what_has_not_changed_is_not_counted_again(process, clock) -> None:
    """Counting would give the same answer, as long as hardly any memory has come."""
    process.foreign = 30 * MIB
    assert process.bound() == 31
    clock.advance(COST * 20)
    process.foreign += RSS_RESOLUTION
    assert process.bound() == 31 + RSS_RESOLUTION / MIB
    assert process.exactly.calls == 1
    process.foreign += 1
    process.bound()
    assert process.exactly.calls == 2


def test_what_came_since_is_added_until_it_is_time_to_count(process, clock) -> None:
    """Counting takes at most a twentieth of the time."""
    process.foreign = 30 * MIB
    process.bound()
    process.files += 3 * MIB
    process.foreign += 10 * MIB
    assert process.bound() == 44
    clock.advance(COST * 20)
    assert process.bound() == 41
    assert process.exactly.calls == 2


def test_what_went_is_no_longer_part_of_it(process, clock) -> None:
    """Memory that the other allocator has returned is not free any more."""
    process.foreign = 30 * MIB
    process.bound()
    process.foreign = 0
    clock.advance(COST * 20)
    assert process.bound() <= 3
    process.foreign = 20 * MIB
    assert 21 <= process.bound() <= 23


def test_what_an_allocator_reports_as_used_is_not_free(process) -> None:
    """Of 30 MiB in a pool that has 25 in use, 5 may be free."""
    process.foreign, process.in_use = 30 * MIB, 25 * MIB
    assert process.bound() == 6


def test_what_memray_has_mapped_for_itself_is_not_free(process, monkeypatch) -> None:
    """Memory of memguard's own instruments is not attributed to the test."""
    process.foreign = 30 * MIB
    monkeypatch.setattr(Ours, "size", 27 * MIB)
    assert process.bound() == 4


def test_while_pymalloc_is_hooked_the_last_bound_holds(process) -> None:
    """The last bound holds while nothing reports how much memory CPython has."""
    process.foreign = 30 * MIB
    process.bound()
    process.foreign = 90 * MIB
    assert process.bound(hooked=True) == 31
