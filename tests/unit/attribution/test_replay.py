"""Tests of the replay of an allocation stream: peaks between boundaries, and who held them."""

from __future__ import annotations

import pytest

from pytest_memguard.attribution.replay import Codes, held_between, replay
from tests.support.fakes import (
    FREE,
    MALLOC,
    MMAP,
    MUNMAP,
    PYMALLOC_FREE,
    FakeEvent,
    free,
    malloc,
    mmap,
    munmap,
)

SIZE = 4093  # of the mappings that are boundaries
CODES = Codes(
    boundary=SIZE, mmap=MMAP, munmap=MUNMAP, releases=frozenset({FREE, MUNMAP, PYMALLOC_FREE})
)


def mark(*, tid=1) -> list[FakeEvent]:
    """A boundary: a mapping of the agreed size, given back at once."""
    return [mmap(0xB000, SIZE, tid=tid, stack=99), munmap(0xB000, SIZE, tid=tid)]


def stream(*parts) -> list[FakeEvent]:
    """Events, and lists of them, in one list."""
    return [event for part in parts for event in (part if isinstance(part, list) else [part])]


def levels(replayed, *, own=False) -> list[tuple[int, int]]:
    """Level and highest level of each stretch."""
    if own:
        return [(part.own_level, part.own_high) for part in replayed.stretches]
    return [(part.level, part.high) for part in replayed.stretches]


def held(events, first, last, high_event, **more) -> set[tuple[int, int, int, int]]:
    """What `held_between` finds, as stack, bytes, blocks, bytes kept."""
    return {
        (found.event.stack_id, found.size, found.count, found.kept)
        for found in held_between(
            events, CODES, first=first, last=last, high_event=high_event, **more
        )
    }


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param(stream(mark()), [(0, 0)], id="nothing-happens"),
        pytest.param(stream(mark(), malloc(1, 10)), [(0, 10)], id="one-block"),
        pytest.param(
            stream(mark(), malloc(1, 10), free(1), malloc(2, 7)), [(0, 10)], id="one-by-one"
        ),
        pytest.param(
            stream(mark(), malloc(1, 10), malloc(2, 7), free(1)), [(0, 17)], id="together"
        ),
        pytest.param(
            stream(mark(), malloc(1, 10), mark(), free(1), malloc(2, 4), mark()),
            [(0, 10), (10, 10), (4, 4)],
            id="level-is-what-lives-at-the-boundary",
        ),
        pytest.param(
            stream(mark(), malloc(1, 10), free(1), mark(), malloc(2, 4), mark()),
            [(0, 10), (0, 4), (4, 4)],
            id="each-stretch-has-its-own-peak",
        ),
        pytest.param(
            stream(malloc(1, 10), mark(), malloc(2, 4)),
            [(10, 14)],
            id="before-the-first-boundary-is-no-stretch",
        ),
        pytest.param(
            stream(mark(), free(77), malloc(1, 5)), [(0, 5)], id="block-from-before-tracking"
        ),
        pytest.param(
            stream(mark(), malloc(1, 5), FakeEvent(1, 0, PYMALLOC_FREE, 1, 0), malloc(2, 3)),
            [(0, 5)],
            id="released-by-pymalloc",
        ),
        pytest.param(
            stream(mark(), malloc(1, 5), free(1), free(1), malloc(2, 3)),
            [(0, 5)],
            id="released-twice",
        ),
        pytest.param(
            stream(mark(), malloc(1, 5), free(1), malloc(1, 8)), [(0, 8)], id="address-reused"
        ),
    ],
)
def test_stretches(events, expected) -> None:
    """Each boundary starts a stretch with its level and its own high-water mark."""
    assert expected == levels(replay(events, CODES))


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param(
            stream(mark(), mmap(0x1000, 100), munmap(0x1000, 100), malloc(1, 7)),
            [(0, 100)],
            id="whole",
        ),
        pytest.param(
            stream(mark(), mmap(0x1000, 100), munmap(0x1000, 60), mark(), malloc(1, 7)),
            [(0, 100), (40, 47)],
            id="its-beginning",
        ),
        pytest.param(
            stream(
                mark(), mmap(0x1000, 100), munmap(0x1000, 60), munmap(0x1000 + 60, 40), mark()
            ),
            [(0, 100), (0, 0)],
            id="its-beginning-then-the-rest",
        ),
        pytest.param(
            stream(
                mark(),
                mmap(0x1000, 100),
                munmap(0x1000, 30),
                munmap(0x1000 + 30, 30),
                mark(),
            ),
            [(0, 100), (40, 40)],
            id="bit-by-bit",
        ),
        pytest.param(
            stream(mark(), mmap(0x1000, 100), munmap(0x1000, 4096), mark()),
            [(0, 100), (0, 0)],
            id="rounded-up-to-a-page",
        ),
        pytest.param(
            stream(mark(), mmap(0x1000, 100), munmap(0x1000, 0), mark()),
            [(0, 100), (0, 0)],
            id="of-no-length",
        ),
        pytest.param(
            stream(mark(), malloc(1, 100), FakeEvent(1, 60, FREE, 1, 0), mark()),
            [(0, 100), (0, 0)],
            id="only-mappings-are-released-in-part",
        ),
    ],
)
def test_mappings_released_in_part(events, expected) -> None:
    """The rest of a mapping lives on, at the address where it now begins."""
    assert expected == levels(replay(events, CODES))


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(mmap(0x1000, SIZE + 1), id="mapping-of-another-size"),
        pytest.param(FakeEvent(0x1000, SIZE, MALLOC, 1, 1), id="block-of-that-size"),
    ],
)
def test_boundaries_are_told_apart(event) -> None:
    """Only a mapping of exactly the agreed size is a boundary."""
    assert [(0, event.size)] == levels(replay(stream(mark(), event), CODES))


def test_boundary_itself_takes_no_room() -> None:
    """A boundary's mapping counts neither when it is made nor when it is given back."""
    assert levels(replay(stream(mark(), mark(), malloc(1, 5), mark()), CODES)) == [
        (0, 0),
        (0, 5),
        (5, 5),
    ]


NESTED = stream(
    malloc(1, 1),  # before everything
    mark(),  # 0: the outer stage
    malloc(2, 100),
    mark(),  # 1: the inner one
    malloc(3, 1000),
    free(3),
    malloc(4, 10),
    mark(),  # 2: the inner one ends
    free(2),
    malloc(5, 500),
    free(5),
    mark(),  # 3: the outer one ends
    malloc(6, 9000),
)


@pytest.mark.parametrize(
    ("first", "last", "peak"),
    [
        pytest.param(0, 3, 1100, id="outer"),
        pytest.param(1, 2, 1000, id="inner"),
        pytest.param(0, 1, 100, id="before-the-inner"),
        pytest.param(2, 3, 400, id="after-the-inner"),
        pytest.param(0, 4, 9010, id="to-the-end"),
        pytest.param(3, 4, 9000, id="the-end-alone"),
    ],
)
def test_peak_of_nested_stretches(first, last, peak) -> None:
    """A peak is the rise above the level at its own first boundary."""
    assert peak == replay(NESTED, CODES).peak(first, last)


@pytest.mark.parametrize(
    ("first", "last", "address"),
    [
        pytest.param(0, 3, 3, id="outer-peak-is-in-the-inner"),
        pytest.param(1, 2, 3, id="inner"),
        pytest.param(0, 1, 2, id="before-the-inner"),
        pytest.param(2, 3, 5, id="after-the-inner"),
    ],
)
def test_event_of_the_peak(first, last, address) -> None:
    """The peak was reached by the allocation that is pointed at."""
    assert address == NESTED[replay(NESTED, CODES).high_event(first, last)].address


def test_first_of_equal_peaks() -> None:
    """Where the same height is reached twice, the first time is the peak."""
    events = stream(mark(), malloc(1, 5), free(1), malloc(2, 5))
    assert events[replay(events, CODES).high_event(0, 1)].address == 1


THREADS = stream(
    mark(tid=7),
    malloc(1, 100, tid=7),
    malloc(2, 1000, tid=8),
    free(1, tid=8),
    malloc(3, 60, tid=7),
    free(2, tid=7),
    malloc(4, 30, tid=7),
    mark(tid=8),
    malloc(5, 20, tid=7),
)


def test_own_thread() -> None:
    """The thread that set the first boundary is the one whose blocks are its own."""
    assert replay(THREADS, CODES).thread == 7


def test_own_thread_may_have_any_number() -> None:
    """A thread numbered 0 is a thread like any other."""
    replayed = replay(stream(mark(tid=0), malloc(1, 5, tid=0), mark(tid=8)), CODES)
    assert replayed.thread == 0
    assert levels(replayed, own=True) == [(0, 5), (5, 5)]


def test_own_peaks() -> None:
    """A block belongs to the thread that allocated it, whichever thread frees it."""
    replayed = replay(THREADS, CODES)
    assert levels(replayed) == [(0, 1100), (90, 110)]
    assert levels(replayed, own=True) == [(0, 100), (90, 110)]
    assert (replayed.peak(0, 1), replayed.peak(0, 1, own=True)) == (1100, 100)
    assert (replayed.peak(1, 2), replayed.peak(1, 2, own=True)) == (20, 20)


def test_event_of_the_own_peak() -> None:
    """All threads' peak and the own thread's may be at different allocations."""
    replayed = replay(THREADS, CODES)
    assert THREADS[replayed.high_event(0, 1)].address == 2
    assert THREADS[replayed.high_event(0, 1, own=True)].address == 1


def test_own_peak_after_freeing_earlier_blocks() -> None:
    """Giving back a block from before the first boundary makes room for the next."""
    events = stream(malloc(1, 50, tid=7), mark(tid=7), free(1), malloc(2, 80, tid=7))
    replayed = replay(events, CODES)
    assert replayed.peak(0, 1) == 30
    assert replayed.peak(0, 1, own=True) == 30


def test_stream_without_boundaries() -> None:
    """A stream that was never cut is one stretch, and no thread's."""
    replayed = replay([malloc(1, 10), free(1)], CODES)
    assert levels(replayed) == [(0, 10)]
    assert replayed.thread == -1


HELD = stream(
    malloc(1, 1, stack=1),
    mark(tid=7),  # 0
    malloc(2, 100, tid=7, stack=2),
    malloc(3, 30, tid=7, stack=3),
    malloc(4, 40, tid=8, stack=3),
    free(2),
    malloc(5, 5, tid=7, stack=2),
    mmap(0x1000, 60, tid=7, stack=4),
    free(1),
    mark(tid=7),  # 1
    munmap(0x1000, 20, tid=7),
    malloc(6, 6, tid=7, stack=6),
    mark(tid=7),  # 2
    malloc(7, 7000, tid=7, stack=7),
)


def at(address) -> int:
    """The number of the event that handed out the block at an address."""
    return next(number for number, event in enumerate(HELD) if event.address == address)


@pytest.mark.parametrize(
    ("first", "last", "high_event", "thread", "expected"),
    [
        pytest.param(
            0,
            1,
            at(4),
            None,
            {(2, 100, 1, 5), (3, 70, 2, 70), (4, 0, 0, 60)},
            id="at-the-peak-and-at-the-end",
        ),
        pytest.param(
            0, 1, at(3), 7, {(2, 100, 1, 5), (3, 30, 1, 30), (4, 0, 0, 60)}, id="one-thread"
        ),
        pytest.param(0, 1, at(4), 8, {(3, 40, 1, 40)}, id="the-other-thread"),
        pytest.param(
            0,
            2,
            at(0x1000),
            None,
            {(2, 5, 1, 5), (3, 70, 2, 70), (4, 60, 1, 40), (6, 0, 0, 6)},
            id="across-a-boundary-with-a-mapping-partly-released",
        ),
        pytest.param(1, 2, at(6), None, {(6, 6, 1, 6)}, id="only-what-came-in-between"),
        pytest.param(0, 1, at(0xB000), None, {(2, 0, 0, 5), (3, 0, 0, 70), (4, 0, 0, 60)},
                     id="the-peak-is-the-start"),
        pytest.param(2, 3, at(7), None, {(7, 7000, 1, 7000)}, id="to-the-end"),
    ],
)  # fmt: skip
def test_held_between(first, last, high_event, thread, expected) -> None:
    """Blocks alive at the peak and blocks that stay are summed by stack, in the stretch."""
    assert expected == held(HELD, first, last, high_event, thread=thread)


def test_held_sums_up_to_the_peak() -> None:
    """The blocks that lived at the peak are as large as the peak that was found."""
    replayed = replay(NESTED, CODES)
    for first, last in [(0, 3), (1, 2), (0, 1), (3, 4)]:
        found = held(NESTED, first, last, replayed.high_event(first, last))
        assert replayed.peak(first, last) == sum(size for _, size, _, _ in found)


def test_held_event_is_one_of_the_stack() -> None:
    """Each sum comes with one of its allocations, from which the stack can be read."""
    found = held_between(HELD, CODES, first=0, last=1, high_event=at(4))
    assert {part.event.stack_id: part.event.address for part in found} == {
        2: 2,
        3: 3,
        4: 0x1000,
    }


def test_numbers_are_memrays() -> None:
    """The allocators are told apart by the numbers memray gives them."""
    memray = pytest.importorskip("memray")
    kinds = memray.AllocatorType
    assert (PYMALLOC_FREE, FREE, MALLOC, MMAP, MUNMAP) == (
        kinds.PYMALLOC_FREE,
        kinds.FREE,
        kinds.MALLOC,
        kinds.MMAP,
        kinds.MUNMAP,
    )
