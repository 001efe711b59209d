"""A set of numbers that grows as hash tables do, four times as large at each step."""

from itertools import count

_NUMBERS = count(10_000, 12)
_SEEN: set[int] = set()


def see(first: int) -> int:
    """See twelve numbers."""
    _SEEN.update(range(first, first + 12))  # LEAK
    return len(_SEEN)


def test_see() -> None:
    """They are all new."""
    assert see(next(_NUMBERS)) % 12 == 0
