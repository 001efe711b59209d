"""Rotates an ordered dict of constant length."""

from collections import OrderedDict
from itertools import count

_NUMBERS = count(1_000)
_WINDOW: OrderedDict[int, list[int]] = OrderedDict((key, [key]) for key in range(500))


def rotate(key: int) -> int:
    """Take the oldest out and put a new one in."""
    _WINDOW.popitem(last=False)
    _WINDOW[key] = [key]
    return len(_WINDOW)


def test_rotate() -> None:
    """The window is as long as ever."""
    assert rotate(next(_NUMBERS)) == 500
