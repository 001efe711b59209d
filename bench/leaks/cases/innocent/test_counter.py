"""Counts its calls, with numbers that stay small."""


class Calls:
    """How many there were."""

    count = 10_000
    total = 0.5


def test_count() -> None:
    """There was one more."""
    before = Calls.count
    Calls.count += 1
    Calls.total += 0.25
    assert before + 1 == Calls.count
