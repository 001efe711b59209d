"""An ``lru_cache`` and a ``deque`` fill at the same time; both have a bound."""

from collections import deque
from functools import lru_cache
from itertools import count

_NUMBERS = count(1_000)


class Message:
    """One of many."""


_LATEST: deque[Message] = deque(maxlen=4_000)


@lru_cache(maxsize=3_000)
def parts(number: int) -> list[int]:
    """A list that is worth keeping."""
    return [number, number // 2]


def test_both() -> None:
    """The number is its own first part."""
    number = next(_NUMBERS)
    _LATEST.append(Message())
    assert parts(number)[0] == number
