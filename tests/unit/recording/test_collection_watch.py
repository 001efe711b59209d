"""Tests of what is measured of the collections in a phase, and of how often."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from pytest_memguard.probes.in_use import InUse
from pytest_memguard.recording.collection_watch import CollectionWatch
from pytest_memguard.recording.freed import Collection
from pytest_memguard.recording.region import Region
from pytest_memguard.sizes import MIB


class FakeProcess:
    """A process whose use of memory a test sets; it counts what it is asked."""

    def __init__(self) -> None:
        """Begin with ten mebibytes."""
        self.resident = 10 * MIB
        self.blocks: int | None = 0
        self.asked: list[str] = []

    def read(self, *, whole: bool, again: bool = False) -> InUse:
        """Tell all, or what takes little."""
        self.asked.append(("whole" if whole else "some") + " again" * again)
        return InUse(resident=self.resident, blocks=self.blocks, heap=0, small=0)

    def read_like(self, before: InUse) -> InUse:
        """Tell as much again."""
        if before.blocks is None:
            return self.resident_only()
        return self.read(whole=False, again=True)

    def resident_only(self) -> InUse:
        """Tell resident memory alone."""
        self.asked.append("resident")
        return InUse(resident=self.resident)


class Listener:
    """Writes down what it hears of."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.heard: list[tuple[int, int]] = []

    def collected(self, collection: Collection) -> None:
        """Write it down."""
        self.heard.append((collection.freed // MIB, collection.generation))


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
        """Put it back."""
        self.high = self.process.resident
        return self.high


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
    made = CollectionWatch(process, lambda: trimmed.append(1), FakeMark(process))
    made._callbacks = []
    yield made
    made.end()


def collect(watch, process, generation, *, mebibytes=2, objects=1) -> None:
    """Let a collection free some mebibytes."""
    info = {"generation": generation, "collected": 0}
    watch("start", info)
    process.resident -= mebibytes * MIB
    watch("stop", {**info, "collected": objects})


def test_first_collection_of_each_generation(watch, process) -> None:
    """Later collections of a young generation free the test's own garbage."""
    listener = Listener()
    watch.listen(listener)
    for generation in (0, 0, 2, 1, 0):
        collect(watch, process, generation)
    assert listener.heard == [(2, 0), (2, 2)]
    assert process.asked == ["some", "some again", "whole", "whole again"]


def test_later_full_collections(watch, process) -> None:
    """Each of them is measured: the test may have let go of older memory meanwhile."""
    listener = Listener()
    watch.listen(listener)
    collect(watch, process, 2, mebibytes=0, objects=0)
    collect(watch, process, 2)
    collect(watch, process, 2, mebibytes=1)
    assert listener.heard == [(0, 2), (2, 2), (1, 2)]


def test_own_garbage_of_later_collections(watch, process) -> None:
    """What was taken since the last full collection does not reset the mark when it goes."""
    watch.begin(process.resident)
    collect(watch, process, 2, mebibytes=0)
    process.resident += 3 * MIB
    collect(watch, process, 2, mebibytes=3)
    assert watch._phase._mark.undisturbed


def test_every_phase_begins_anew(watch, process) -> None:
    """What is old in one phase may be garbage in the next."""
    listener = Listener()
    for _ in range(2):
        watch.listen(listener)
        collect(watch, process, 2)
        assert watch.end()
    assert listener.heard == [(2, 2), (2, 2)]


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"objects": 0}, id="no-object"),
        pytest.param({"mebibytes": 0}, id="no-memory"),
    ],
)
def test_collection_that_frees_nothing(watch, process, more) -> None:
    """A full one is told of all the same: the memory it did not free is no garbage."""
    listener = Listener()
    watch.listen(listener)
    collect(watch, process, 0, **more)
    assert listener.heard == []
    collect(watch, process, 2, **more)
    assert listener.heard == [(0, 2)]


def test_pages_are_given_back_around_a_full_collection(watch, process, trimmed) -> None:
    """Resident memory shows what a full collection freed; a young one is not worth a trim."""
    watch.listen(Listener())
    collect(watch, process, 0)
    assert trimmed == []
    collect(watch, process, 2)
    assert trimmed == [1, 1]


def test_nothing_is_measured_between_phases(watch, process) -> None:
    """A collection that nothing listens to costs a comparison."""
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
    assert listener.heard == [(10, 0)]
    assert process.asked == ["some", "resident"]


def test_phase_by_the_mark(watch, process) -> None:
    """Without a recorder the watch keeps the peak itself, and says that the mark was reset."""
    watch.begin(process.resident)
    collect(watch, process, 2)
    mark = watch._phase._mark
    assert not mark.undisturbed
    region = watch.end_marked(mark.reset() + 5 * MIB)
    assert (region.rise() // MIB, region.hidden()) == (5, 0)


def test_a_recorder_takes_over(watch, process) -> None:
    """What was measured by the mark so far goes on where it was."""
    watch.begin(process.resident)
    collect(watch, process, 0)
    listener = Listener()
    region = watch.pass_on(listener)
    assert isinstance(region, Region)
    assert region.least_freed == 2 * MIB
    collect(watch, process, 2)
    assert listener.heard == [(2, 2)]
    assert watch.pass_on(listener) is None


def test_callback_that_was_taken_away(watch) -> None:
    """If the test has removed the callback, the end of the phase says so."""
    watch.begin(10 * MIB)
    watch._callbacks.clear()
    assert not watch.end_if_intact()
    region = watch.end_marked(10 * MIB)
    assert region.is_blind
    watch.begin(10 * MIB)
    assert not watch.end_marked(10 * MIB).is_blind


def test_error_while_measuring(watch, process) -> None:
    """An error is no exception in the test, and the phase has not seen everything."""

    def read(**_: bool) -> InUse:
        raise OSError

    process.read = read
    watch.listen(Listener())
    collect(watch, process, 2)
    assert not watch.end()
    assert watch._callbacks == []


def test_real_collections() -> None:
    """The interpreter's own callbacks reach it, and no longer once it has ended."""
    process = FakeProcess()
    watch = CollectionWatch(process, lambda: None, None)
    watch.listen(Listener())
    assert watch in gc.callbacks
    gc.collect()
    assert watch.end()
    assert watch not in gc.callbacks
    assert "whole" in process.asked
