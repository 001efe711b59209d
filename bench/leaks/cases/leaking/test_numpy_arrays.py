"""Keeps every frame as an array, whose data is no Python object."""

import numpy as np

_FRAMES: list["np.ndarray[tuple[int], np.dtype[np.float64]]"] = []


def capture() -> float:
    """Keep a frame of 4,000 bytes."""
    frame = np.ones(500)  # LEAK
    _FRAMES.append(frame)
    return float(frame[0])


def test_capture() -> None:
    """A frame is bright."""
    assert capture() == 1.0
