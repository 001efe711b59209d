"""Forgets a descriptor beside an ``lru_cache`` that fills."""

import os
from functools import lru_cache
from itertools import count

_NUMBERS = count(1_000)


@lru_cache(maxsize=5_000)
def square(number: int) -> int:
    """Something worth keeping."""
    return number * number


def size(path: str) -> int:
    """Measure a file through a descriptor that stays open."""
    descriptor = os.open(path, os.O_RDONLY)  # LEAK
    return os.fstat(descriptor).st_size


def test_size() -> None:
    """This file is not empty."""
    assert square(next(_NUMBERS)) > 0
    assert size(__file__) > 0
