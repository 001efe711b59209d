"""Tests of the tables of a leak."""

from __future__ import annotations

import pytest

from pytest_memguard.model.leaks import LeakLine
from pytest_memguard.report.leak_tables import leak_line_table


@pytest.mark.parametrize(
    ("blocks", "calls", "shown"),
    [
        pytest.param(16, 16, "1", id="each call"),
        pytest.param(17, 16, "1", id="a list that moved"),
        pytest.param(31, 16, "2", id="one block that is missing"),
        pytest.param(20, 16, "1.25", id="every fourth call two"),
        pytest.param(1, 16, "0.0625", id="one block in all calls"),
        pytest.param(15, 16, "1", id="all calls but one"),
        pytest.param(4, 3, "1.333", id="few calls"),
        pytest.param(51_200, 4, "12,800", id="many blocks"),
    ],
)
def test_blocks_per_call(blocks, calls, shown) -> None:
    """One block more or less over many calls is no reason for a fraction."""
    line = LeakLine(file="app.py", line=3, function="put", count=blocks, size=1600)
    row = leak_line_table([line], calls).splitlines()[-1]
    assert row.split() == ["put", "app.py:3", shown, f"{1600 / calls:,.0f}"]


@pytest.mark.parametrize(
    ("name", "left", "shown"),
    [
        pytest.param("open files", 4, "+0.25 open files", id="a file now and then"),
        pytest.param("open files", 64_000, "+4,000 open files", id="many files"),
        pytest.param("USS", 21_440, "+1.3 KiB USS", id="pages"),
        pytest.param("C heap", 214_400, "+13.1 KiB C heap", id="C heap"),
    ],
)
def test_what_a_line_left(name, left, shown) -> None:
    """What a line has left behind is a plain number, bytes with their unit."""
    line = LeakLine(
        file="app.py", line=3, function="put", count=0, size=0, left=((name, left),)
    )
    assert shown == leak_line_table([line], 16).splitlines()[-1].strip()
