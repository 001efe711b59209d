"""Keeps another number of objects on every call, sometimes none."""

import random


class Row:
    """One line of a result."""

    def __init__(self, number: int) -> None:
        self.number = number


_RANDOM = random.Random(11)
_KEPT: list[Row] = []


def query() -> int:
    """Keep between none and four rows."""
    size = _RANDOM.randint(0, 4)
    _KEPT.extend([Row(number) for number in range(size)])  # LEAK
    return size


def test_query() -> None:
    """There are never more than four rows."""
    assert query() <= 4
