"""pytest-memray as its documentation shows it: a test that repeats the work in a loop."""

from __future__ import annotations

from typing import Any

import case
import pytest

globals().update(case.FIXTURES)

CALLS = 100
"""The documentation's own example has as many."""


@pytest.fixture
def arguments(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the case's test asks for, made before anything is measured."""
    return case.arguments(request)


@pytest.mark.limit_leaks("1 KB")
def test_case(arguments: dict[str, Any]) -> None:
    """Do it a hundred times."""
    test = case.TEST
    for _ in range(CALLS):
        test(**arguments)
