"""Keeps both ends of a pipe per call."""

import os

_PIPES: list[tuple[int, int]] = []


def signal() -> bytes:
    """Send one byte through a pipe that stays."""
    ends = os.pipe()  # LEAK
    _PIPES.append(ends)
    os.write(ends[1], b"!")
    return os.read(ends[0], 1)


def test_signal() -> None:
    """What goes in comes out."""
    assert signal() == b"!"
