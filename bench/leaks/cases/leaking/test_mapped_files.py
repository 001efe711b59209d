"""Keeps anonymous mappings open."""

import mmap

_MAPPINGS: list[mmap.mmap] = []


def buffer() -> int:
    """Map two pages, write into both and keep them."""
    mapping = mmap.mmap(-1, 8_192)  # LEAK
    mapping[0] = mapping[4_096] = 1
    _MAPPINGS.append(mapping)
    return len(mapping)


def test_buffer() -> None:
    """A mapping has the size asked for."""
    assert buffer() == 8_192
