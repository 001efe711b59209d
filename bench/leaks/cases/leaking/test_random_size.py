"""Keeps a block of another size on every call."""

import random

_RANDOM = random.Random(7)
_KEPT: list[bytearray] = []


def download() -> int:
    """Keep between 1 and 3,000 bytes."""
    data = bytearray(_RANDOM.randint(1, 3_000))  # LEAK
    _KEPT.append(data)
    return len(data)


def test_download() -> None:
    """Something was downloaded."""
    assert download() > 0
