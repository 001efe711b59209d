"""Tests of what is measured of the collections in a phase, and of how often."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from pytest_memguard.allocator.collection_watch import CollectionWatch
from pytest_memguard.probes.in_use import InUse
from tests.support.fake_collections import FakeProcess, Listener, collect


@pytest.fixture
def process() -> FakeProcess:
    """A process of ten mebibytes."""
    return FakeProcess()


@pytest.fixture
def trimmed() -> list[int]:
    """An entry for every time that pages were given back."""
    return []


@pytest.fixture
def watch(process, trimmed) -> Iterator[CollectionWatch]:
    """A watch that real collections do not reach."""
    made = CollectionWatch(process, lambda: trimmed.append(1))
    made._callbacks = []
    yield made
    made.end()


def test_first_collection_of_each_generation(watch, process) -> None:
    """Later collections of a young generation free only garbage of the test itself."""
    listener = Listener()
    watch.listen(listener)
    for generation in (0, 0, 2, 1, 0):
        collect(watch, process, generation)
    assert listener.received == [(2, 0), (2, 2)]
    assert process.asked == ["some", "some again", "whole", "whole again"]


def test_later_full_collections(watch, process) -> None:
    """Each full collection is measured: the test may have dropped older memory meanwhile."""
    listener = Listener()
    watch.listen(listener)
    collect(watch, process, 2, mebibytes=0, objects=0)
    collect(watch, process, 2)
    collect(watch, process, 2, mebibytes=1)
    assert listener.received == [(0, 2), (2, 2), (1, 2)]


def test_every_phase_begins_anew(watch, process) -> None:
    """Memory that is old in one phase may be garbage in the next."""
    listener = Listener()
    for _ in range(2):
        watch.listen(listener)
        collect(watch, process, 2)
        assert watch.end()
    assert listener.received == [(2, 2), (2, 2)]


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"objects": 0}, id="no-object"),
        pytest.param({"mebibytes": 0}, id="no-memory"),
    ],
)
def test_collection_that_frees_nothing(watch, process, more) -> None:
    """A full collection is still reported: the memory it did not free is not garbage."""
    listener = Listener()
    watch.listen(listener)
    collect(watch, process, 0, **more)
    assert listener.received == []
    collect(watch, process, 2, **more)
    assert listener.received == [(0, 2)]


def test_pages_are_given_back_around_a_full_collection(watch, process, trimmed) -> None:
    """Resident memory shows what a full collection freed; a young one is not worth a trim."""
    watch.listen(Listener())
    collect(watch, process, 0)
    assert trimmed == []
    collect(watch, process, 2)
    assert trimmed == [1, 1]


def test_nothing_is_measured_between_phases(watch, process) -> None:
    """A collection that no measurement listens to costs one comparison."""
    watch.listen(Listener())
    watch.end()
    collect(watch, process, 2)
    assert process.asked == []


def test_blocks_that_were_not_counted(watch, process) -> None:
    """Where counting takes too long before a collection, nothing bounds what it frees."""
    process.blocks = None
    listener = Listener()
    watch.listen(listener)
    collect(watch, process, 0, mebibytes=3)
    assert listener.received == [(10, 0)]
    assert process.asked == ["some", "resident"]


def test_error_while_measuring(watch, process) -> None:
    """An error in the watch raises nothing in the test; the phase is marked as incomplete."""

    def read(**_: bool) -> InUse:
        raise OSError

    process.read = read
    watch.listen(Listener())
    collect(watch, process, 2)
    assert not watch.end()
    assert watch._callbacks == []


def test_real_collections() -> None:
    """The interpreter calls the watch after each collection until the watch is stopped."""
    process = FakeProcess()
    watch = CollectionWatch(process, lambda: None)
    watch.listen(Listener())
    assert watch in gc.callbacks
    gc.collect()
    assert watch.end()
    assert watch not in gc.callbacks
    assert "whole" in process.asked
