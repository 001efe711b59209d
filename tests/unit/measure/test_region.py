"""Tests of a region's peak when collections free memory that is older than the region."""

from __future__ import annotations

import sys

import pytest

from pytest_memguard.allocator.freed import Collection, done_by
from pytest_memguard.measure.region import Region, doubt, dropped
from pytest_memguard.sizes import KIB

RSS_RESOLUTION = 256 * KIB


def region_after(*events: tuple[int, ...]) -> Region:
    """A region that began at 100; an event is a high, or a level and a collection."""
    region = Region()
    region.begin([100])
    for event in events:
        if len(event) == 1:
            region.note(0, event[0])
        else:
            level, freed, generation, *more = event
            region.collected(level, Collection(freed, generation, *more))
    return region


@pytest.mark.parametrize(
    ("rise", "hidden", "events"),
    [
        pytest.param(50, 0, [(150,)], id="no-collection"),
        pytest.param(20, 0, [(100,), (80, 20, 2), (100,)], id="all-of-it-was-older"),
        pytest.param(25, 0, [(100,), (80, 20, 2), (105,)], id="older-and-more"),
        pytest.param(20, 0, [(120,), (100, 20, 2), (100,)], id="own-garbage-at-the-end"),
        pytest.param(25, 20, [(120,), (100, 20, 2), (125,)], id="own-or-older"),
        pytest.param(20, 20, [(120,), (90, 30, 2), (110,)], id="some-was-older"),
        pytest.param(0, 30, [(100,), (100, 30, 2), (100,)], id="nothing-left-the-process"),
        pytest.param(90, 0, [(190,), (100, 30, 2), (100,)], id="peak-was-before"),
        pytest.param(
            20,
            20,
            [(120,), (100, 20, 2), (120,), (100, 20, 2, 120), (120,)],
            id="second-is-own",
        ),
        pytest.param(
            0, 30, [(100,), (100, 0, 2), (100, 30, 2, 100), (100,)], id="let-go-meanwhile"
        ),
        pytest.param(
            25, 5, [(100,), (100, 0, 2), (80, 25, 2, 100), (105,)], id="seen-to-leave-meanwhile"
        ),
        pytest.param(
            10, 20, [(110,), (110, 0, 2), (110, 30, 2, 110), (110,)], id="more-than-its-own"
        ),
        pytest.param(
            0,
            0,
            [(100,), (100, 0, 2), (100, 30, 2, 100, 100, 30), (100,)],
            id="own-in-slack-that-was-there",
        ),
        pytest.param(
            15, 5, [(100,), (95, 5, 0), (100,), (90, 10, 2), (105,)], id="young-then-full"
        ),
        pytest.param(
            5, 0, [(100,), (95, 5, 2), (100,), (98, 2, 2, 100), (100,)], id="full-is-all"
        ),
    ],
)
def test_rise_and_what_may_be_hidden(rise, hidden, events) -> None:
    """Memory that was surely older is added to the peak; what may have been is a doubt."""
    region = region_after(*events)
    assert (rise, hidden) == (region.rise(), region.hidden())


def test_other_meters_are_left_alone() -> None:
    """Resident memory is no part of the peak of Python's memory."""
    region = Region()
    region.begin([100, 7])
    region.collected(80, Collection(20, 2))
    region.note(0, 100)
    region.note(1, 9)
    assert (region.rise(0), region.rise(1)) == (20, 2)


def test_begins_anew() -> None:
    """A region that is used again knows nothing of the collections before."""
    region = region_after((100,), (80, 20, 2))
    region.lose_sight()
    region.begin([50])
    region.note(0, 60)
    assert (region.rise(), region.hidden(), region.is_blind) == (10, 0, False)


def test_begins_again_with_one_meter() -> None:
    """A region that is used again for one meter is the same as a new one."""
    region = region_after((100,), (80, 20, 2), (100,))
    assert region.most_freed
    region.begin_again(50)
    region.note(0, 60)
    assert (region.rise(), region.hidden(), region.most_freed) == (10, 0, 0)


def test_collections_that_were_not_seen() -> None:
    """Where a collection went unseen, all there was may be hidden."""
    region = region_after((150,))
    region.lose_sight()
    assert (region.rise(), region.hidden()) == (50, 100)


@pytest.mark.parametrize(
    ("expected", "events", "slack", "gone", "blind"),
    [
        pytest.param((9, "slack"), [], 9, 0, False, id="slack"),
        pytest.param((24, "collected"), [(100, 20, 2), (100,)], 4, 0, False, id="collected"),
        pytest.param((13, "dropped"), [], 4, 9, False, id="dropped"),
        pytest.param((100, "unseen"), [], 4, 0, True, id="unseen"),
        pytest.param((100, "slack"), [], 101, 0, False, id="all-there-is"),
        pytest.param((100, "slack"), [(150,)], 900, 0, False, id="all-there-is-and-a-rise"),
        pytest.param((0, "slack"), [], 0, 0, False, id="none"),
    ],
)
def test_doubt(expected, events, slack, gone, blind) -> None:
    """All that may hide a peak adds up to what is resident, and the largest part is named."""
    region = region_after(*events)
    if blind:
        region.lose_sight()
    assert expected == doubt(region, slack, gone)


def test_doubt_because_of_other_allocators() -> None:
    """Memory that other allocators may hold free is one of the parts."""
    assert doubt(region_after(), 4, 9, 20) == (33, "foreign")


@pytest.mark.parametrize(
    ("expected", "start", "end", "freed"),
    [
        pytest.param(0, 9 * RSS_RESOLUTION, 9 * RSS_RESOLUTION, 0, id="same"),
        pytest.param(0, 9 * RSS_RESOLUTION, 8 * RSS_RESOLUTION, 0, id="within-the-resolution"),
        pytest.param(1, 9 * RSS_RESOLUTION, 8 * RSS_RESOLUTION - 1, 0, id="more"),
        pytest.param(
            3 * RSS_RESOLUTION,
            9 * RSS_RESOLUTION,
            RSS_RESOLUTION,
            4 * RSS_RESOLUTION,
            id="some-by-collections",
        ),
        pytest.param(0, 9 * RSS_RESOLUTION, 12 * RSS_RESOLUTION, 0, id="grown"),
    ],
)
def test_dropped(expected, start, end, freed) -> None:
    """Memory that left the process without a collection was dropped."""
    assert expected == dropped(start, end, freed)


@pytest.mark.parametrize("generation", [0, 1, 2])
def test_generations_that_are_done(generation) -> None:
    """A collection is done with its own generation; an increment of CPython 3.14 is not."""
    incremental = sys.version_info >= (3, 14) and generation == 1
    assert done_by(generation) == (0 if incremental else generation)
