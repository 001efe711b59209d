"""Caches every answer of a function, without a bound."""

from functools import lru_cache
from itertools import count

_NUMBERS = count(10_000)


class Shape:
    """What is cached."""

    def __init__(self, side: int) -> None:
        self.side = side


@lru_cache(maxsize=None)
def shape(side: int) -> Shape:
    """Make a shape, once per side."""
    return Shape(side)  # LEAK


def test_shape() -> None:
    """A shape has the side that was asked for."""
    side = next(_NUMBERS)  # LEAK
    assert shape(side).side == side  # LEAK
