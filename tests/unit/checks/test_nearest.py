"""Tests of the pattern that a user may have meant."""

from __future__ import annotations

import pytest

from pytest_memguard.checks.budget.nearest import nearest_patterns

TESTS = ["tests/unit/test_rows.py::TestLoad::test_all[a-1]", "tests/test_files.py::test_open"]


@pytest.mark.parametrize(
    ("glob", "expected"),
    [
        pytest.param("tests/unti", "tests/unit", id="folder"),
        pytest.param("unit/", "tests/unit", id="folder-below"),
        pytest.param("test_rows.py", "tests/unit/test_rows.py", id="file-below"),
        pytest.param("tests/test_file.py", "tests/test_files.py", id="file"),
        pytest.param(
            "TestLoad", "tests/unit/test_rows.py::TestLoad", id="class-without-its-file"
        ),
        pytest.param(
            "tests/test_files.py::test_opens", "tests/test_files.py::test_open", id="test"
        ),
        pytest.param("benchmarks/*", None, id="nothing-like-it"),
    ],
)
def test_nearest(glob, expected) -> None:
    """The nearest name that covers a test is suggested, if any is near."""
    end = "" if expected is None else f"; the nearest that would is {expected!r}"
    assert [end] == list(nearest_patterns([glob], TESTS))
