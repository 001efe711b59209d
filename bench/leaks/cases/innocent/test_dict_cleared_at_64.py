"""A hand-written cache that is emptied when 64 entries are in it."""

from itertools import count

_CACHE: dict[int, list[int]] = {}
_NUMBERS = count(1_000)


def digits(number: int) -> list[int]:
    """The digits of a number, from the cache if they are there."""
    if number not in _CACHE:
        if len(_CACHE) >= 64:
            _CACHE.clear()
        _CACHE[number] = [int(digit) for digit in str(number)]
    return _CACHE[number]


def test_digits() -> None:
    """No number starts with a zero."""
    assert digits(next(_NUMBERS))[0] > 0
