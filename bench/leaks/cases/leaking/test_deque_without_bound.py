"""Keeps a history in a deque that was meant to have a ``maxlen``."""

from collections import deque


class Message:
    """Something said."""

    def __init__(self, text: str) -> None:
        self.text = text


_HISTORY: deque[Message] = deque()


def say(text: str) -> str:
    """Say something and keep it."""
    _HISTORY.append(Message(text))  # LEAK
    return _HISTORY[-1].text


def test_say() -> None:
    """What was said last is at the end."""
    assert say("hello") == "hello"
