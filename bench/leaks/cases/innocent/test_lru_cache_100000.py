"""An ``lru_cache`` so large that no check sees it full; but its bound can be read."""

from functools import lru_cache
from itertools import count

_NUMBERS = count(1_000)


@lru_cache(maxsize=100_000)
def squares(number: int) -> list[int]:
    """A list that is worth keeping."""
    return [number, number * number]


def test_squares() -> None:
    """The first is the number itself."""
    number = next(_NUMBERS)
    assert squares(number)[0] == number
