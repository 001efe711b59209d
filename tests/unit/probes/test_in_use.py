"""Tests of what a process has in use, and of how often it is read."""

from __future__ import annotations

import sys

import pytest

from pytest_memguard.clock import Clock
from pytest_memguard.probes.in_use import InUse, InUseProbe
from tests.support.fakes import FakeClock, FakeProbe


@pytest.fixture
def clock(monkeypatch) -> FakeClock:
    """Time stands still until a test lets it pass."""
    fake = FakeClock()
    monkeypatch.setattr(Clock, "seconds", staticmethod(fake))
    monkeypatch.setattr(Clock, "cpu", staticmethod(fake))
    return fake


@pytest.fixture
def blocks(clock) -> FakeProbe:
    """Counts blocks in two milliseconds."""
    return FakeProbe(clock, 7, cost=2e-3)


@pytest.fixture
def probe(blocks) -> InUseProbe:
    """A probe of a process with 100 resident bytes."""
    return InUseProbe(lambda: 100, lambda: 40, lambda: 60, blocks)


def test_whole(probe) -> None:
    """All numbers are read where the caller insists."""
    assert InUse(resident=100, blocks=7, heap=60, small=40) == probe.read(whole=True)


def test_some(probe) -> None:
    """Pymalloc is not queried for a young collection."""
    assert InUse(resident=100, blocks=7, heap=60) == probe.read(whole=False)


def test_resident_only(probe, blocks) -> None:
    """Resident memory can be read alone."""
    assert InUse(resident=100) == probe.resident_only()
    assert blocks.calls == 0


@pytest.mark.parametrize(
    ("expected", "cost", "pause"),
    [
        pytest.param(3, 1.9e-3, 0, id="cheap"),
        pytest.param(2, 4e-3, 9 * 4e-3, id="expensive-and-too-soon"),
        pytest.param(3, 4e-3, 11 * 4e-3, id="expensive-and-long-ago"),
    ],
)
def test_a_tenth_of_the_time(probe, blocks, clock, expected, cost, pause) -> None:
    """A reading that takes long again and again is not made at every young collection."""
    blocks.cost = cost
    probe.read(whole=False)
    probe.read(whole=False)
    clock.advance(pause)
    probe.read(whole=False)
    assert expected == blocks.calls


def test_to_compare(probe, blocks) -> None:
    """Numbers read before a collection are read after it as well, however soon."""
    before = probe.read(whole=False)
    assert before == probe.read(whole=False, again=True)
    assert blocks.calls == 2


def test_full_collections_are_worth_it(probe, blocks) -> None:
    """The caller's wish decides, however long the reading takes."""
    for _ in range(3):
        probe.read(whole=True)
    assert blocks.calls == 3


@pytest.mark.skipif(sys.platform != "linux", reason="needs the C library of Linux")
def test_this_process() -> None:
    """The C heap's bytes follow a block that is taken."""
    probe = InUseProbe(lambda: 0, None)
    before = probe.read(whole=True).heap
    block = bytearray(9_000_000)
    after = probe.read(whole=True).heap
    del block
    assert pytest.approx(after - before, rel=0.1) == 9_000_000


def test_a_heap_that_takes_long(blocks, clock) -> None:
    """Where it is the C heap that takes long, the blocks are counted all the same."""

    def heap() -> int:
        clock.advance(4e-3)
        return 60

    probe = InUseProbe(lambda: 100, lambda: 40, heap, blocks)
    for _ in range(2):
        assert probe.read(whole=False).heap == 60
    before = probe.read(whole=False)
    assert before == InUse(resident=100, blocks=7)
    assert probe.read_like(before) == before
