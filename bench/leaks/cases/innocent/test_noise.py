"""Allocates blocks of random size and lets go of all but the last few."""

import random

_RANDOM = random.Random(5)
_LAST: list[bytearray] = []


def test_noise() -> None:
    """There are never more than eight."""
    sizes = (_RANDOM.randint(1, 50_000) for _ in range(_RANDOM.randint(1, 8)))
    _LAST[:] = [bytearray(size) for size in sizes]
    assert len(_LAST) <= 8
