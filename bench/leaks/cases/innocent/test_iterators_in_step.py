"""Walks with two iterators over the same numbers, side by side."""

from itertools import count, tee

_FIRST, _SECOND = tee(count(10_000))


def test_pair() -> None:
    """Both see the same."""
    for _ in range(30):
        assert next(_FIRST) == next(_SECOND)
