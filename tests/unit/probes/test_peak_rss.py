"""Tests of the kernel's high-water mark, on blocks of known size."""

from __future__ import annotations

import weakref
from collections.abc import Iterator

import pytest

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.probes import marks_in_use
from pytest_memguard.probes.peak_rss import PeakRss
from pytest_memguard.sizes import KIB, MIB

SIZE = 40 * MIB
NEAR = 2 * MIB


@pytest.fixture
def mark(monkeypatch: pytest.MonkeyPatch) -> Iterator[PeakRss]:
    """A mark that has just been reset, the only one whatever other tests have left."""
    monkeypatch.setattr(marks_in_use, "_IN_USE", weakref.WeakSet())
    try:
        mark = PeakRss()
    except Unmeasurable as error:
        pytest.skip(str(error))
    mark.reset()
    yield mark
    mark.close()


def use(size: int) -> None:
    """Touch a block, and give it back."""
    block = bytearray(size)
    del block


def test_rises_and_stays(mark: PeakRss) -> None:
    """The mark shows a block that is gone, until it is reset."""
    base = mark.reset()
    use(SIZE)
    assert SIZE - NEAR < mark.rise_above(base) < SIZE + NEAR
    mark.reset_only()
    assert mark.mark() - base < NEAR


def test_getrusage_shows_the_level_after_a_reset(mark: PeakRss) -> None:
    """The level as the mark counts it, unless the process inherited a higher mark."""
    use(SIZE)
    mark.reset_only()
    level = mark.usage(mark.thread).ru_maxrss * KIB
    assert level <= mark.inherited_peak or abs(level - mark.level()) < NEAR


def test_never_below_the_base(mark: PeakRss) -> None:
    """No peak is reported that lies below the level it started from."""
    assert mark.rise_above(mark.mark() + SIZE) == 0


def test_one_mark_within_another(mark: PeakRss) -> None:
    """A mark that another one resets remembers where it was."""
    base = mark.reset()
    use(SIZE)
    inner = PeakRss()
    try:
        assert not mark.undisturbed
        assert not inner.undisturbed
        assert inner.rise_above(inner.reset()) < NEAR
    finally:
        inner.close()
    assert not mark.undisturbed
    assert SIZE - NEAR < mark.rise_above(base) < SIZE + NEAR
    mark.reset_only()
    assert mark.undisturbed
    assert mark.mark() - base < NEAR


def test_goes_with_the_last_reference(mark: PeakRss) -> None:
    """A mark that was not closed does not disturb others."""
    inner = PeakRss()
    gone = weakref.ref(inner)
    del inner
    assert gone() is None
    mark.reset_only()
    assert mark.undisturbed
