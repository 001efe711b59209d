"""Keeps generators that were started and never run to their end."""

from collections.abc import Iterator

_RUNNING: list[Iterator[int]] = []


def steps() -> Iterator[int]:
    """Count, one step at a time."""
    scratch = [0] * 50  # LEAK
    for number in range(10):
        scratch[number] = number
        yield number


def start() -> int:
    """Take the first step; the others never come."""
    generator = steps()  # LEAK
    _RUNNING.append(generator)
    return next(generator)


def test_start() -> None:
    """The first step has number zero."""
    assert start() == 0
