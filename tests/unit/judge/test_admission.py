"""Tests of which tests may start, as tables of plain values."""

from __future__ import annotations

import pytest

from pytest_memguard.judge.admission import (
    STALE_MILLISECONDS,
    may_start,
    median_of_run,
    next_ticket,
    taken,
)
from pytest_memguard.model.admission import Share

NOW = 60_000


def waits(wanted: int, ticket: int, beat: int = NOW) -> Share:
    """A process whose test waits."""
    return Share(pid=1, level=10, wanted=wanted, ticket=ticket, beat=beat)


def runs(need: int) -> Share:
    """A process whose test runs."""
    return Share(pid=2, level=10, need=need)


@pytest.mark.parametrize(
    ("mine", "others", "starts"),
    [
        pytest.param(waits(90, 1), [], True, id="exactly"),
        pytest.param(waits(80, 1), [runs(0)], True, id="beside-what-another-holds"),
        pytest.param(waits(30, 1), [runs(50)], True, id="both-fit"),
        pytest.param(waits(31, 1), [runs(50)], False, id="a-byte-too-much"),
        pytest.param(waits(500, 1), [], True, id="larger-than-all-alone"),
        pytest.param(waits(500, 1), [runs(0)], True, id="larger-beside-an-idle-one"),
        pytest.param(waits(500, 1), [runs(1)], False, id="larger-waits-for-others"),
        pytest.param(waits(1, 1), [runs(500)], False, id="a-larger-one-runs-alone"),
        pytest.param(waits(5, 2), [waits(500, 1)], False, id="no-overtaking"),
        pytest.param(waits(5, 1), [waits(5, 2)], True, id="first-come"),
        pytest.param(
            waits(5, 2), [waits(50, 1, NOW - STALE_MILLISECONDS)], False, id="seen-just-now"
        ),
        pytest.param(
            waits(5, 2), [waits(50, 1, NOW - STALE_MILLISECONDS - 1)], True, id="stopped"
        ),
        pytest.param(waits(5, 2), [waits(50, 1, NOW + 99_999)], False, id="other-clock"),
    ],
)
def test_may_start(mine, others, starts) -> None:
    """A test starts if it is first and fits, or if no other test has anything."""
    assert starts == may_start(mine, others, 100, NOW)


def test_taken() -> None:
    """Levels and grants of processes count as taken; requests that wait do not."""
    assert taken([waits(90, 1), runs(50)]) == 10 + 10 + 50


@pytest.mark.parametrize(
    ("others", "ticket"),
    [
        pytest.param([], 1, id="first"),
        pytest.param([runs(5)], 1, id="none-waits"),
        pytest.param([waits(5, 3), waits(5, 7)], 8, id="behind-all"),
    ],
)
def test_next_ticket(others, ticket) -> None:
    """A new ticket is behind all others."""
    assert ticket == next_ticket(others)


@pytest.mark.parametrize(
    ("known", "median"),
    [
        pytest.param([], None, id="no-process"),
        pytest.param([(0, 0)], None, id="no-test"),
        pytest.param([(1, 50)], 50, id="one"),
        pytest.param([(1, 50), (0, 0)], 50, id="one-that-knows-none"),
        pytest.param([(1, 90), (5, 10)], 10, id="most-tests-count"),
        pytest.param([(2, 10), (1, 20), (2, 30)], 20, id="three"),
        pytest.param([(1, 10), (1, 30)], 10, id="two"),
    ],
)
def test_median_of_run(known, median) -> None:
    """The median of each process counts once for each of its tests."""
    shares = [Share(pid=1, known=tests, median=value) for tests, value in known]
    assert median == median_of_run(shares)
