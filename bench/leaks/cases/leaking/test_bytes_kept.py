"""Keeps the raw bytes of every message, which the garbage collector does not track."""

_RAW: list[bytes] = []


def receive(size: int) -> int:
    """Keep a message and say how long it was."""
    message = bytes(size)  # LEAK
    _RAW.append(message)
    return len(message)


def test_receive() -> None:
    """The length is the message's."""
    assert receive(40) == 40
