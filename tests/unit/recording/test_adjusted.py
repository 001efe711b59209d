"""Tests of readings from which the share of some holders is taken off."""

from __future__ import annotations

from array import array

from pytest_memguard.recording.adjusted import AdjustedSignals, Share


class Readings:
    """Readings with numbers that a test sets."""

    signals = ("blocks", "C heap", "open files")

    def __init__(self) -> None:
        self.now = [0, 0, 0]

    def row(self) -> array[int]:
        """Room for one reading."""
        return array("q", bytes(8 * 3))

    def read(self, row, **_) -> None:
        """Copy the numbers."""
        row[:] = array("q", self.now)

    def collect(self) -> None:
        """Nothing to collect."""

    def collect_frozen(self, **_) -> bool:
        """Report that nothing is frozen."""
        return False

    def settle(self, **_) -> None:
        """Nothing to empty."""

    def keep_caches(self) -> None:
        """There are none."""


def read(adjusted: AdjustedSignals) -> list[int]:
    """One reading."""
    row = adjusted.row()
    adjusted.read(row, settle=True)
    return list(row)


def test_what_a_cache_takes_with_each_item():
    """The share of a cache is subtracted for as long as the cache fills, and no longer."""
    cache: list[int] = [1, 2, 3]
    per_call = {"blocks": 3.06, "open files": 1.0}
    share = Share(cache, 16, 16, per_call, lambda: 0)
    readings = Readings()
    adjusted = AdjustedSignals(readings, [share])
    assert read(adjusted) == [0, 0, 0]
    cache += [4, 5]
    size = 8 * 5 + 56 - (8 * 3 + 56)
    readings.now = [8, 500, 3]
    blocks, heap, files = read(adjusted)
    assert (blocks, files) == (2, 1)
    assert 500 - 3 * size <= heap <= 500
    readings.now = [18, 500, 13]
    assert read(adjusted)[0] == 12


def test_what_is_taken_with_each_call():
    """Where no container is known, the share is subtracted for each call."""
    calls = [10]
    share = Share(None, 0, 16, {"blocks": 2.0}, lambda: calls[0])
    readings = Readings()
    adjusted = AdjustedSignals(readings, [share])
    calls[0] += 4
    readings.now = [9, 0, 0]
    assert read(adjusted) == [1, 0, 0]
