"""Tests of the free places of the C heap, which a process takes that measures one test."""

from __future__ import annotations

import sys

import pytest

from pytest_memguard.allocator.free_places import take_free_places
from pytest_memguard.measure.instruments import Instruments
from pytest_memguard.probes.slack import SlackProbe
from tests.support.fresh_process import alone

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it is glibc's heap")

KIB = 1 << 10


def blocks(length: int) -> list[bytes]:
    """Every third of many blocks on the C heap, with free places between them."""
    return [bytes(600 + number % length) for number in range(20_000)][::3]


@alone
def test_no_free_place_is_left() -> None:
    """A test could use free places without being noticed, until they are taken."""
    pinned = blocks(300)
    probe, instruments = SlackProbe(), Instruments()
    pinned += blocks(700)
    instruments.settle(0)
    assert probe.read().malloc > 4096 * KIB
    take_free_places()
    instruments.settle(0)
    assert probe.read().malloc < 256 * KIB  # threads may have an arena of their own


@alone
def test_all_of_a_test_shows_in_the_mark() -> None:
    """Small objects and blocks raise resident memory by all that they take."""
    pinned = [[[number] for number in range(200_000)][::40], blocks(300)]
    instruments = Instruments()
    instruments.take_slack()
    assert instruments.mark is not None
    before = instruments.mark.reset()
    kept = [[number] for number in range(40_000)], [bytes(667) for _ in range(5_000)]
    rise = instruments.mark.mark() - before
    assert pytest.approx(40_000 * 96 + 5_000 * 720, rel=0.15) == rise
    assert pinned
    assert kept


@alone
def test_nothing_is_touched() -> None:
    """Taking free places makes the process hardly larger: what is not resident stays so."""
    instruments = Instruments()
    pinned = [bytearray(100 * KIB) for _ in range(100)][::2]
    instruments.settle(0)
    before = instruments.resident.level()
    take_free_places()
    assert instruments.resident.level() - before < 1024 * KIB
    assert pinned
