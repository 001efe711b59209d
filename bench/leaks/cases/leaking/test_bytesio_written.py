"""Writes frames into memory that is never cut back."""

import io

_BUFFER = io.BytesIO()


def write(frame: bytes) -> int:
    """Add a frame."""
    return _BUFFER.write(frame)  # LEAK


def test_write() -> None:
    """The whole frame was written."""
    assert write(b"x" * 400) == 400
