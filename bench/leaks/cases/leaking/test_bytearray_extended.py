"""Adds a frame to one buffer that is never emptied: it grows in steps, in place."""

_BUFFER = bytearray()


def receive(frame: bytes) -> int:
    """Add a frame."""
    _BUFFER.extend(frame)  # LEAK
    return len(_BUFFER)


def test_receive() -> None:
    """Frames are whole."""
    assert receive(b"x" * 300) % 300 == 0
