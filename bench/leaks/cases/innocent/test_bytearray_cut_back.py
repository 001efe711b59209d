"""A buffer that grows in place and is cut back by what was sent."""

_BUFFER = bytearray()


def receive(frame: bytes) -> int:
    """Add a frame, and send what has come together."""
    _BUFFER.extend(frame)
    if len(_BUFFER) > 12_000:
        del _BUFFER[:10_000]
    return len(_BUFFER)


def test_receive() -> None:
    """The buffer is never long."""
    assert receive(b"x" * 300) <= 12_000
