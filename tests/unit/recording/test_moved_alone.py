"""Tests of telling tables that have moved from those of new containers."""

from __future__ import annotations

import pytest

from pytest_memguard.probes.surviving_blocks import SurvivingBlocks
from pytest_memguard.recording.moved_alone import moved_alone, with_added


def blocks(function: str, count: int, *, moved: bool = False, line: int = 1) -> SurvivingBlocks:
    """Some blocks of Python's, from a line of a function."""
    return SurvivingBlocks(
        stack=((function, "app.py", line),),
        native=(),
        count=count,
        size=count * 56,
        of_python=True,
        may_have_moved=moved,
    )


@pytest.mark.parametrize(
    ("surviving", "alone"),
    [
        pytest.param([blocks("add", 2_000, moved=True)], 2_000, id="many-old-lists"),
        pytest.param(
            [blocks("make", 16), blocks("make", 17, moved=True)], 1, id="new-buffers-in-a-list"
        ),
        pytest.param(
            [blocks("make", 16), blocks("make", 16, moved=True, line=2)],
            0,
            id="made-and-filled",
        ),
        pytest.param(
            [blocks("make", 500), blocks("add", 20, moved=True)], 20, id="beside-other-blocks"
        ),
        pytest.param([], 0, id="nothing"),
    ],
)
def test_moved_alone(surviving, alone) -> None:
    """Tables count unless the function that got them made as many other blocks."""
    assert alone == moved_alone(surviving).total()


def test_what_was_added() -> None:
    """Tables that moved have shares of what was added, by their size, and are no blocks."""
    new, old = blocks("make", 16), blocks("add", 300, moved=True)
    older, stackless = (
        blocks("add", 100, moved=True, line=2),
        SurvivingBlocks(stack=(), native=(), count=1, size=8),
    )
    found = with_added([new, old, older, stackless], 1_000)
    assert [new, stackless] == [one for one in found if not one.tables]
    assert [(one.count, one.tables, one.size) for one in found if one.tables] == [
        (0, 300, 750),
        (0, 100, 250),
    ]
