"""Tests of the sampling meter: the highest of many samples, from a thread that ends."""

from __future__ import annotations

import threading

import pytest

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.measure.sampler import INTERVAL_SECONDS, SampledResident
from pytest_memguard.probes.lifetime_peak import DRIFT

PATIENCE = 10  # seconds, for a thread that is never this slow


class Level:
    """A level that is moved by hand, and counts how often it has been sampled."""

    def __init__(self, now) -> None:
        """Begin at ``now``, not sampled yet."""
        self.now = now
        self.samples = threading.Semaphore(0)

    def __call__(self) -> int:
        self.samples.release()
        return self.now

    def wait_for_sample(self) -> None:
        """Wait until a sample that began after this call has been taken."""
        while self.samples.acquire(blocking=False):
            pass
        for _ in range(2):  # the first may have begun before, the second ends after it
            assert self.samples.acquire(timeout=PATIENCE)


@pytest.fixture
def level() -> Level:
    """A process that holds 100 bytes."""
    return Level(100)


@pytest.fixture
def meter(level):
    """A meter that samples as often as it can, and is stopped at the end."""
    made = SampledResident(level, interval=0.0001)
    yield made
    made.stop()


def test_sees_a_peak_between_two_readings(meter, level) -> None:
    """A level that was seen by the thread is in the peak, though it is over."""
    meter.start()
    assert meter.restart() == 100
    level.now = 500
    level.wait_for_sample()
    level.now = 120
    assert meter.read() == (120, 500)


def test_restart_forgets(meter, level) -> None:
    """After a restart only what comes then counts."""
    level.now = 500
    meter.restart()
    level.now = 80
    assert meter.restart() == 80
    assert meter.read() == (80, 80)


def test_readings_are_samples_too(meter, level) -> None:
    """Without a thread the peak is the highest of the readings."""
    meter.restart()
    highs = []
    for level.now in (150, 300, 200):
        highs.append(meter.read()[1])
    assert highs == [150, 300, 300]


def test_thread_lives_from_start_to_stop(meter) -> None:
    """There is one thread between start and stop, and none before or after."""

    def samplers() -> int:
        return sum(thread.name == "memguard-sampler" for thread in threading.enumerate())

    others = samplers()
    counts = []
    for do in (lambda: None, meter.start, meter.start, meter.stop, meter.stop, meter.start):
        do()
        counts.append(samplers() - others)
    assert counts == [0, 1, 1, 0, 0, 1]


def test_stopped_meter_takes_no_samples(meter, level) -> None:
    """Once the thread has ended, the level is read only when the caller reads."""
    meter.start()
    level.wait_for_sample()
    meter.stop()
    while level.samples.acquire(blocking=False):
        pass
    assert not level.samples.acquire(timeout=0.01)


def test_interval_in_words() -> None:
    """The interval that reports name is the one that is used."""
    assert SampledResident.interval_ms() == INTERVAL_SECONDS * 1000


START = 5 * DRIFT


@pytest.mark.parametrize(
    ("mark", "later", "high", "missed"),
    [
        pytest.param(START, START, START, DRIFT, id="mark-at-the-level"),
        pytest.param(9 * DRIFT, 9 * DRIFT, START, 5 * DRIFT, id="mark-above"),
        pytest.param(6 * DRIFT, 9 * DRIFT, 8 * DRIFT, 2 * DRIFT, id="mark-has-risen"),
        pytest.param(START, START + 9, START, DRIFT + 9, id="risen-by-less-than-it-drifts"),
        pytest.param(9 * DRIFT, 7 * DRIFT, START, None, id="mark-was-put-back"),
    ],
)
def test_bounds_by_the_lifetime_mark(mark, later, high, missed) -> None:
    """The mark bounds what sampling has missed, and where it has risen the peak was there."""
    marks = iter([mark, later, later])
    meter = SampledResident(lambda: START, lambda: next(marks))
    level = meter.restart()
    assert (START, high) == meter.read()
    assert missed == meter.missed(level, high)


def test_nothing_bounds_it_without_a_mark(meter) -> None:
    """Without a lifetime mark nothing bounds what sampling has missed."""
    meter.restart()
    meter.read()
    assert meter.missed(100, 100) is None


def test_a_level_that_can_no_longer_be_read(meter, level) -> None:
    """The thread and the readings go on with the last level, and the meter says why."""
    meter.start()
    assert (meter.restart(), meter.lost) == (100, "")

    def refuse() -> int:
        level.samples.release()
        msg = "there is no /proc any more"
        raise Unmeasurable(msg)

    meter._read_level = refuse
    level.wait_for_sample()
    assert meter._thread.is_alive()
    assert meter.read() == (100, 100)
    assert meter.lost == "there is no /proc any more"
