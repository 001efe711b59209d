"""Writes into memory that begins anew after 25 frames."""

import io

_BUFFER = io.BytesIO()


def write(frame: bytes) -> int:
    """Add a frame."""
    if _BUFFER.tell() >= 25 * len(frame):
        _BUFFER.seek(0)
        _BUFFER.truncate()
    return _BUFFER.write(frame)


def test_write() -> None:
    """The whole frame was written."""
    assert write(b"x" * 400) == 400
