"""Tests of a phase that is measured by the mark, with collections in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_memguard.measure.marked_phase import MarkedPhaseWatch
from pytest_memguard.measure.region import empty_region
from pytest_memguard.sizes import MIB
from tests.support.fake_collections import FakeProcess, Listener, collect


class FakeMark:
    """A kernel's mark that stands where the process does."""

    def __init__(self, process: FakeProcess) -> None:
        """Begin undisturbed."""
        self.process = process
        self.undisturbed = True
        self.high = process.resident

    def mark(self) -> int:
        """The highest so far."""
        return self.high

    def reset(self) -> int:
        """Reset the mark."""
        self.high = self.process.resident
        return self.high


@pytest.fixture
def process() -> FakeProcess:
    """A process of ten mebibytes."""
    return FakeProcess()


@pytest.fixture
def watch(process) -> Iterator[MarkedPhaseWatch]:
    """A watch that real collections do not reach."""
    made = MarkedPhaseWatch(process, lambda: None, FakeMark(process))
    made._callbacks = []
    yield made
    made.end()


def test_own_garbage_of_later_collections(watch, process) -> None:
    """Freeing memory from after the last full collection does not reset the mark."""
    region = empty_region()
    region.begin_again(process.resident)
    watch.begin(region)
    collect(watch, process, 2, mebibytes=0)
    process.resident += 3 * MIB
    collect(watch, process, 2, mebibytes=3)
    assert watch._phase._mark.undisturbed


def test_phase_by_the_mark(watch, process) -> None:
    """Without a recorder the watch keeps the peak itself, and says that the mark was reset."""
    region = empty_region()
    region.begin_again(process.resident)
    watch.begin(region)
    collect(watch, process, 2)
    mark = watch._phase._mark
    assert not mark.undisturbed
    watch.end_marked(region, mark.reset() + 5 * MIB)
    assert (region.rise() // MIB, region.hidden()) == (5, 0)


def test_a_recorder_takes_over(watch, process) -> None:
    """A recorder that takes over goes on from what the mark has measured."""
    region = empty_region()
    region.begin_again(process.resident)
    watch.begin(region)
    collect(watch, process, 0)
    listener = Listener()
    watch.pass_on(listener)
    assert region.least_freed == 2 * MIB
    collect(watch, process, 2)
    assert listener.received == [(2, 2)]


def test_callback_that_was_taken_away(watch) -> None:
    """If the test has removed the callback, the end of the phase reports it."""
    region = empty_region()
    region.begin_again(10 * MIB)
    watch.begin(region)
    watch._callbacks.clear()
    assert not watch.end_if_intact()
    watch.end_marked(region, 10 * MIB)
    assert region.is_blind
    region.begin_again(10 * MIB)
    watch.begin(region)
    watch.end_marked(region, 10 * MIB)
    assert not region.is_blind
