"""Keeps every number it has seen in a set of the module."""

from itertools import count

_SEEN: set[tuple[str, int]] = set()
_NUMBERS = count(1_000)


def first_time(number: int) -> bool:
    """Return whether a number is new, and remember it for ever."""
    key = ("seen", number)  # LEAK
    new = key not in _SEEN
    _SEEN.add(key)
    return new


def test_first_time() -> None:
    """Every number is new once."""
    assert first_time(next(_NUMBERS))  # LEAK
