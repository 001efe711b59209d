"""One buffer that grows to the longest message there is, and is used again."""

import random

_RANDOM = random.Random(3)
_BUFFER = bytearray()


def frame() -> int:
    """Write a message of up to 4,000 bytes into the buffer."""
    size = _RANDOM.randint(1, 4_000)
    if len(_BUFFER) < size:
        _BUFFER.extend(bytes(size - len(_BUFFER)))
    _BUFFER[:size] = b"x" * size
    return size


def test_frame() -> None:
    """The message fits."""
    assert frame() <= len(_BUFFER)
