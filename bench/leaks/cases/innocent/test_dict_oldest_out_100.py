"""A hand-written cache that drops its oldest entry from 100 on."""

from collections import OrderedDict
from itertools import count

_CACHE: OrderedDict[int, list[int]] = OrderedDict()
_NUMBERS = count(1_000)


def digits(number: int) -> list[int]:
    """The digits of a number, from the cache if they are there."""
    if number not in _CACHE:
        _CACHE[number] = [int(digit) for digit in str(number)]
        if len(_CACHE) > 100:
            _CACHE.popitem(last=False)
    return _CACHE[number]


def test_digits() -> None:
    """No number starts with a zero."""
    assert digits(next(_NUMBERS))[0] > 0
