"""Tests of tables that fit a terminal."""

from __future__ import annotations

import pytest

from pytest_memguard.report.columns import filled_columns, narrow_table, shortened_name


@pytest.mark.parametrize(
    ("room", "expected"),
    [
        pytest.param(24, "tests/test_a.py::test_xyz", id="room-is-enough"),
        pytest.param(20, "tests...py::test_xyz", id="too-long"),
        pytest.param(4, "...z", id="hardly-any"),
    ],
)
def test_shortened(room, expected) -> None:
    """A long name loses its middle, and keeps more of its end."""
    text = "tests/test_a.py::test_xyz"
    found = shortened_name(text, max(room, len(text)) if expected == text else room)
    assert expected == found


def test_filled() -> None:
    """Columns that say nothing are left out, unless they are always there."""
    headers = ["Peak", "Setup", "After", "Test"]
    rows = [["0.0", "0.0", "+0.0", "a"], ["0.0", "-", "+1.0", "b"]]
    assert filled_columns(headers, rows, ("Peak", "Test")) == [0, 2, 3]


def test_fits() -> None:
    """No line is longer than the terminal is wide, and what is shortened ends alike."""
    rows = [["1.0", "tests/test_a.py::test_" + "x" * 90], ["22.0", "b"]]
    lines = narrow_table(["MiB", "Test"], rows, 40)
    assert lines == [
        " MiB  Test",
        "----  " + "-" * 34,
        f" 1.0  tests/test...{'x' * 21}",
        "22.0  b",
    ]


def test_least_room() -> None:
    """A name has some room even where numbers leave none."""
    (*_, line) = narrow_table(["MiB", "Test"], [["1" * 30, "y" * 60]], 40)
    assert line.endswith(f"  {'y' * 7}...{'y' * 14}")
