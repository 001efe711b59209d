"""Keeps something on every third call only."""

from itertools import count


class Sample:
    """One of three."""

    def __init__(self, number: int) -> None:
        self.number = number


_KEPT: list[Sample] = []
_CALLS = count(1)


def measure() -> int:
    """Keep every third sample."""
    number = next(_CALLS)
    if number % 3 == 0:
        _KEPT.append(Sample(number))  # LEAK
    return number


def test_measure() -> None:
    """Samples are numbered from one."""
    assert measure() > 0
