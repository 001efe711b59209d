"""Appends to one array that grows in place: more bytes, not more blocks."""

from array import array

_SAMPLES = array("q")
_CHUNK = array("q", range(100))


def sample() -> int:
    """Add a hundred numbers."""
    _SAMPLES.extend(_CHUNK)  # LEAK
    return len(_SAMPLES)


def test_sample() -> None:
    """Whole chunks are added."""
    assert sample() % 100 == 0
