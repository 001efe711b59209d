"""Keeps every frame as an array, whose data is no Python object."""

import numpy as np

_FRAMES: list["np.ndarray[tuple[int], np.dtype[np.float64]]"] = []


def capture() -> float:
    """Keep a frame of 4,000 bytes."""
    frame = np.arange(500.0)  # LEAK
    _FRAMES.append(frame)
    return float(frame[-1])


def test_capture() -> None:
    """The last point is the brightest."""
    assert capture() == 499
