"""Calls a mock of the module, which remembers every call."""

from unittest.mock import Mock


class Letter:
    """What is sent."""

    def __init__(self, text: str) -> None:
        self.text = text


_SENDER = Mock()


def send(text: str) -> bool:
    """Send a letter by a mock of the post."""
    _SENDER.send(Letter(text))  # LEAK
    return bool(_SENDER.send.called)


def test_send() -> None:
    """The post was called."""
    assert send("hello")
