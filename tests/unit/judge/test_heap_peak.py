"""Tests of what resident memory says about memray's count."""

from __future__ import annotations

import pytest

from pytest_memguard.judge.heap_peak import heap_peak
from pytest_memguard.sizes import MIB


@pytest.mark.parametrize(
    ("high", "counted", "rise", "mapped", "waste"),
    [
        pytest.param(10, 10, 10, 0, 0, id="same"),
        pytest.param(10, 10, 0, 0, 0, id="never-touched"),
        pytest.param(10, 10, 14, 0, 0, id="negligible"),
        pytest.param(15, 10, 15, 0, 0, id="more"),
        pytest.param(200, 200, 220, 0, 0, id="a-tenth-of-a-large-peak"),
        pytest.param(221, 200, 221, 0, 0, id="more-than-a-tenth"),
        pytest.param(10, 10, 30, 16, 0, id="pages-of-files"),
        pytest.param(16, 10, 30, 14, 0, id="pages-of-files-and-more"),
        pytest.param(30, 10, 30, -9, 0, id="files-have-gone"),
        pytest.param(10, 10, 30, 0, 16, id="waste"),
        pytest.param(15, 10, 30, 0, 15, id="waste-and-more"),
        pytest.param(10, 10, 90, None, 0, id="not-known"),
    ],
)
def test_bound(high, counted, rise, mapped, waste) -> None:
    """Resident memory that is not counted, not a file's and not waste may have been missed."""
    size = None if mapped is None else mapped * MIB
    peak = heap_peak(counted * MIB, rise * MIB, size, lambda: waste * MIB)
    assert (counted * MIB, high * MIB) == (peak.value, peak.high)
    assert (high > counted) is (peak.bound == "uncounted")


@pytest.mark.parametrize(
    ("times", "rise"),
    [
        pytest.param(0, 2 * MIB, id="negligible"),
        pytest.param(0, 5 * MIB, id="the-most-that-is-negligible"),
        pytest.param(1, 5 * MIB + 1, id="a-byte-more"),
    ],
)
def test_waste_is_asked_for_when_it_matters(times, rise) -> None:
    """Reading who holds what takes a while, and is done only where there is more to explain."""
    asked = []

    def waste() -> int:
        asked.append(1)
        return 0

    heap_peak(MIB, rise, 0, waste)
    assert times == len(asked)
