"""Tests of the meter for an unreadable level: the lifetime mark alone bounds the peak."""

from __future__ import annotations

import pytest

from pytest_memguard.measure.unread import UnreadResident
from pytest_memguard.probes.lifetime_peak import DRIFT

MARK = 10 * DRIFT


@pytest.mark.parametrize(
    ("later", "rise", "most"),
    [
        pytest.param(MARK, 0, MARK + DRIFT, id="as-before"),
        pytest.param(MARK + 9, 0, MARK + 9 + DRIFT, id="risen-by-less-than-it-drifts"),
        pytest.param(3 * MARK, 2 * MARK - DRIFT, 3 * MARK + DRIFT, id="risen"),
        pytest.param(MARK // 2, 0, None, id="reset-by-something-else"),
    ],
)
def test_bounds(later, rise, most) -> None:
    """A peak is at least what the mark has risen by, and at most the whole mark."""
    marks = iter([MARK, later, later])
    meter = UnreadResident("there is no /proc", lambda: next(marks))
    start = meter.restart()
    _, high = meter.read()
    assert rise == high - start
    missed = meter.missed(start, high)
    assert most == (None if missed is None else rise + missed)


def test_without_a_mark() -> None:
    """Where there is no mark either, nothing is known."""
    meter = UnreadResident("there is no /proc", None)
    meter.start()
    assert (meter.restart(), meter.read(), meter.missed(0, 0)) == (0, (0, 0), None)
    meter.stop()
    assert (meter.running, meter.lost) == (True, "there is no /proc")
