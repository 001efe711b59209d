"""Tests of the recorder: regions keep levels and peaks of their own on one mark."""

from __future__ import annotations

import gc

import pytest

from pytest_memguard.measure.recorder import Recorder, Region
from tests.support.fakes import FakeMeter


@pytest.fixture
def meter() -> FakeMeter:
    """A process that holds 100 bytes."""
    return FakeMeter(100)


@pytest.fixture
def recorder(meter) -> Recorder:
    """A recorder with that meter alone, on a clock that stands still."""
    return Recorder([meter], lambda: None)


def numbers(region) -> tuple[int, int, int]:
    """Level, rise and growth."""
    return region.levels[0], region.rise(), region.growth()


def test_rise_and_growth(recorder, meter) -> None:
    """A region's peak and end are counted from its own start."""
    region = recorder.open()
    meter.move(150)
    meter.move(120)
    recorder.close(region)
    assert numbers(region) == (100, 50, 20)


def test_nothing_happens(recorder) -> None:
    """A region in which nothing is allocated has no rise and no growth."""
    region = recorder.open()
    recorder.close(region)
    assert numbers(region) == (100, 0, 0)


def test_shrinking(recorder, meter) -> None:
    """A region that gives memory back has no rise, and negative growth."""
    region = recorder.open()
    meter.move(70)
    recorder.close(region)
    assert numbers(region) == (100, 0, -30)


def test_inner_peak_is_the_outer_ones_too(recorder, meter) -> None:
    """A peak inside a nested region counts for both."""
    outer = recorder.open()
    meter.move(110)
    inner = recorder.open()
    meter.touch(190)
    recorder.close(inner)
    meter.move(105)
    recorder.close(outer)
    assert numbers(inner) == (110, 80, 0)
    assert numbers(outer) == (100, 90, 5)


def test_outer_peak_before_is_not_the_inner_ones(recorder, meter) -> None:
    """A peak from before a nested region was opened does not belong to it."""
    outer = recorder.open()
    meter.touch(500)
    inner = recorder.open()
    recorder.close(inner)
    recorder.close(outer)
    assert numbers(inner) == (100, 0, 0)
    assert numbers(outer) == (100, 400, 0)


def test_outer_peak_after_is_not_the_inner_ones(recorder, meter) -> None:
    """A peak from after a nested region was closed does not belong to it."""
    outer = recorder.open()
    inner = recorder.open()
    meter.touch(120)
    recorder.close(inner)
    meter.touch(500)
    recorder.close(outer)
    assert numbers(inner) == (100, 20, 0)
    assert numbers(outer) == (100, 400, 0)


def test_siblings(recorder, meter) -> None:
    """The peak of one region is not the next one's, and the outer one has the highest."""
    outer = recorder.open()
    rises = []
    for high in (300, 150, 200):
        region = recorder.open()
        meter.touch(high)
        recorder.close(region)
        rises.append(region.rise())
    recorder.close(outer)
    assert rises == [200, 50, 100]
    assert outer.rise() == 200


def test_overlapping_regions(recorder, meter) -> None:
    """Regions of two threads may end in any order, each with what happened in its time."""
    first = recorder.open()
    meter.move(120)
    second = recorder.open()
    meter.touch(200)
    meter.move(130)
    recorder.close(first)
    meter.touch(300)
    recorder.close(second)
    assert numbers(first) == (100, 100, 30)
    assert numbers(second) == (120, 180, 10)


def test_closed_region_is_left_alone(recorder, meter) -> None:
    """Later changes leave a closed region as it is."""
    region = recorder.open()
    recorder.close(region)
    meter.move(900)
    recorder.close(recorder.open())
    assert numbers(region) == (100, 0, 0)


def test_seconds(recorder, clock) -> None:
    """A region lasts from its opening to its closing."""
    clock.advance(5)
    outer = recorder.open()
    clock.advance(1)
    inner = recorder.open()
    clock.advance(0.25)
    recorder.close(inner)
    clock.advance(2)
    recorder.close(outer)
    assert (inner.seconds, outer.seconds) == (0.25, 3.25)


def test_preparing_is_not_counted(clock, meter) -> None:
    """The time that giving pages back takes is not a region's."""
    recorder = Recorder([meter], lambda: clock.advance(7))
    region = recorder.open()
    clock.advance(1)
    recorder.close(region, collect=True)
    assert region.seconds == 1


def test_several_meters() -> None:
    """Each meter has its own numbers, in the recorder's order."""
    meters = [FakeMeter(100), FakeMeter(7, metric="python")]
    recorder = Recorder(meters, lambda: None)
    region = recorder.open()
    meters[0].move(150)
    meters[1].touch(20)
    recorder.close(region)
    assert (region.rise(0), region.rise(1)) == (50, 13)
    assert (region.growth(0), region.growth(1)) == (50, 0)


def test_settles_before_the_first_reading(meter) -> None:
    """Free pages are given back before a region's level is taken."""
    recorder = Recorder([meter], lambda: meter.move(60))
    region = recorder.open()
    meter.move(100)
    recorder.close(region)
    assert numbers(region) == (60, 40, 40)


def test_settles_before_the_last_reading_on_request(meter) -> None:
    """Memory that can be given back at the end is not growth, but was part of the peak."""
    settled = [80, 90]
    recorder = Recorder([meter], lambda: meter.move(settled.pop(0)))
    region = recorder.open()
    meter.move(200)
    recorder.close(region, collect=True)
    assert numbers(region) == (80, 120, 10)


class Ring:
    """An object that refers to itself, and notifies the meter when it is finalized."""

    def __init__(self, meter, level) -> None:
        """Close the ring."""
        self.meter = meter
        self.level = level
        self.ring = self

    def __del__(self) -> None:
        self.meter.move(self.level)


@pytest.mark.parametrize(
    ("collect", "expected"),
    [pytest.param(True, (60, 0), id="asked"), pytest.param(False, (100, -40), id="not-asked")],
)
def test_garbage_before_the_first_reading(recorder, meter, collect, expected) -> None:
    """Garbage from before counts neither as level nor as growth, if the caller wants that."""
    gc.collect()
    gc.disable()
    try:
        Ring(meter, 60)
        region = recorder.open(collect=collect)
        gc.collect()
        recorder.close(region)
    finally:
        gc.enable()
    assert expected == (region.levels[0], region.growth())


@pytest.mark.parametrize(
    ("collect", "growth"),
    [pytest.param(True, 10, id="asked"), pytest.param(False, 90, id="not-asked")],
)
def test_garbage_before_the_last_reading(recorder, meter, collect, growth) -> None:
    """Garbage of the region itself is in its peak, but not in its growth."""
    region = recorder.open()
    gc.disable()
    try:
        meter.move(190)
        Ring(meter, 110)
        recorder.close(region, collect=collect)
    finally:
        gc.enable()
        gc.collect()
    assert (90, growth) == (region.rise(), region.growth())


@pytest.fixture
def collections(clock, monkeypatch) -> list[float]:
    """The times at which garbage was collected, each of which took a second."""
    times = []

    def collect() -> None:
        times.append(clock.now)
        clock.advance(1)

    monkeypatch.setattr(gc, "collect", collect)
    clock.now = 0.0
    return times


def test_garbage_is_collected_in_a_tenth_of_the_time(recorder, clock, collections) -> None:
    """Where regions come often, only some of the readings are worth a collection."""
    for _ in range(8):
        region = recorder.open(collect=True, first=False)
        clock.advance(2)
        recorder.close(region, collect=True, first=False)
        clock.advance(2)
    assert collections == [0.0, 11.0, 22.0, 33.0]


def test_the_first_reading_is_worth_a_collection(recorder, collections) -> None:
    """A region that has not been seen before is worth a collection at both ends."""
    for first in (True, True, False):
        region = recorder.open(collect=True, first=first)
        recorder.close(region, collect=True, first=first)
    assert collections == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize("first", [True, False])
def test_no_collection_unless_asked(recorder, collections, first) -> None:
    """Regions that do not ask for it leave garbage alone."""
    recorder.close(recorder.open(first=first), first=first)
    assert collections == []


def test_busy(recorder) -> None:
    """The recorder knows whether any region is open."""
    states = [recorder.busy]
    outer, inner = recorder.open(), recorder.open()
    for region in (outer, inner):
        states.append(recorder.busy)
        recorder.close(region)
    states.append(recorder.busy)
    assert states == [False, True, True, False]


def test_rise_of_a_meter_that_came_later() -> None:
    """A region from before a meter was there has no rise on it."""
    region = Region()
    region.begin([90])
    region.note(0, 95)
    assert (region.rise(0), region.rise(1)) == (5, 0)


def test_start_and_stop() -> None:
    """Every meter is started, and stopped."""
    meters = [FakeMeter(), FakeMeter()]
    recorder = Recorder(meters, lambda: None)
    recorder.start()
    recorder.stop()
    assert [meter.calls for meter in meters] == [["start", "stop"]] * 2


def test_adopted_region(recorder, meter) -> None:
    """A region that another recorder opened goes on where it was."""
    region = Region()
    region.begin([90])
    region.note(0, 95)
    region.started = 998.0
    recorder.adopt(region)
    meter.touch(140)
    inner = recorder.open()
    recorder.close(inner)
    recorder.close(region)
    assert numbers(region) == (90, 50, 10)
    assert region.seconds == 2


@pytest.mark.parametrize("unseen", [0, 7, None])
def test_what_a_meter_may_have_missed(recorder, meter, unseen) -> None:
    """A region knows what its meter may have missed; an adopted one knows nothing of that."""
    region = recorder.open()
    meter.unseen = unseen
    assert region.unseen() == 0
    recorder.close(region)
    assert unseen == region.unseen()
    assert region.unseen(1) == 0
