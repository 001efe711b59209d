"""Tests of what malloc keeps aside, with the real C heap."""

from __future__ import annotations

import pytest

from pytest_memguard.probes.counters import Counters
from pytest_memguard.recording.looks import Looks

SIZES = range(512, 1025, 16)
EACH = 7


@pytest.fixture
def counters() -> Counters:
    """What this process tells of its memory."""
    counters = Counters(resources=False)
    if "C heap" not in counters.signals:
        pytest.skip("the C library does not tell")
    return counters


def test_blocks_that_were_kept_aside_count_once_they_are_used(counters) -> None:
    """What is made of freed blocks that malloc kept is seen with its whole size."""
    looks = Looks(counters)
    column = looks.signals.index("C heap")
    before, after = looks.row(), looks.row()
    kept: list[list[bytearray]] = []
    looks.look(before, settle=True)
    looks.look(before, settle=True)
    kept += ([bytearray(size) for _ in range(EACH)] for size in SIZES)
    looks.look(after, settle=True)
    assert after[column] - before[column] >= EACH * sum(SIZES)
    kept.clear()
    looks.look(after, settle=True)
    assert abs(after[column] - before[column]) < sum(SIZES)


def test_freed_blocks_that_malloc_keeps_are_no_growth(counters) -> None:
    """A call that leaves one freed block of a size more behind each time adds nothing."""
    looks = Looks(counters)
    column = looks.signals.index("C heap")
    before, after = looks.row(), looks.row()
    looks.look(before, settle=True)
    looks.look(before, settle=True)
    for more in range(1, EACH + 1):
        for size in SIZES:
            [bytearray(size) for _ in range(more)]
        looks.look(after, settle=True)
        assert abs(after[column] - before[column]) < 2048
