"""A history of the last 300."""

from collections import deque
from itertools import count


class Message:
    """Something said."""

    def __init__(self, number: int) -> None:
        self.number = number


_HISTORY: deque[Message] = deque(maxlen=300)
_NUMBERS = count(1_000)


def test_say() -> None:
    """What was said last is at the end."""
    number = next(_NUMBERS)
    _HISTORY.append(Message(number))
    assert _HISTORY[-1].number == number
