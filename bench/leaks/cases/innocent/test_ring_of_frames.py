"""Replaces one of twenty frames on every call by one of another length."""

import random
from itertools import count

_RANDOM = random.Random(19)
_CALLS = count()
_RING = [b""] * 20


def receive() -> int:
    """Put a frame in place of the oldest."""
    _RING[next(_CALLS) % len(_RING)] = b"x" * _RANDOM.randint(100, 3_000)
    return len(_RING)


def test_receive() -> None:
    """There are twenty places."""
    assert receive() == 20
