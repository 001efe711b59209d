"""An ``lru_cache`` of 8 that gets a new key on every call."""

from functools import lru_cache
from itertools import count

_NUMBERS = count(1_000)


@lru_cache(maxsize=8)
def squares(number: int) -> list[int]:
    """A list that is worth keeping."""
    return [number, number * number]


def test_squares() -> None:
    """The first is the number itself."""
    number = next(_NUMBERS)
    assert squares(number)[0] == number
