"""Adds to a list that a fixture of the session holds."""

import pytest


class Visit:
    """One of many."""


@pytest.fixture(scope="session")
def visits() -> list[Visit]:
    """All visits so far."""
    return []


def test_visit(visits: list[Visit]) -> None:
    """There is a visit."""
    visits.append(Visit())  # LEAK
    assert visits
