"""A ``deque`` of the latest 5,000 messages, three more on every call."""

from collections import deque


class Message:
    """One of many."""

    def __init__(self, text: str) -> None:
        self.words = text.split()


_LATEST: deque[Message] = deque(maxlen=5_000)


def test_receive() -> None:
    """There are never more than that."""
    _LATEST.extend(Message(text) for text in ("one two", "three", "four"))
    assert len(_LATEST) <= 5_000
