"""A buffer that is made in full at the start and then filled, page after page."""

from itertools import count

_BUFFER = bytearray(b"\x00") * 1_000_000
_OFFSETS = count(0, 500)


def write(frame: bytes) -> int:
    """Write a frame behind the one before."""
    offset = next(_OFFSETS) % len(_BUFFER)
    _BUFFER[offset : offset + len(frame)] = frame
    return len(_BUFFER)


def test_write() -> None:
    """The buffer is as long as ever."""
    assert write(b"x" * 500) == 1_000_000
