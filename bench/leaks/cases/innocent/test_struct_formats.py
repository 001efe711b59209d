"""Packs with a new format on every call: ``struct`` empties its cache when it is full."""

import struct
from itertools import count

_SIZES = count(1)


def test_pack() -> None:
    """A format says how many bytes come out."""
    size = next(_SIZES) % 5_000 + 1
    assert len(struct.pack(f"{size}s", b"")) == size
