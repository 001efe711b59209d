"""A cache of 64 in front of something that takes its time."""

import time
from itertools import count

_CACHE: dict[int, list[int]] = {}
_KEYS = count(1_000)


def fetch(key: int) -> list[int]:
    """Fetch what is not in the cache."""
    if key not in _CACHE:
        if len(_CACHE) >= 64:
            del _CACHE[next(iter(_CACHE))]
        time.sleep(0.003)
        _CACHE[key] = [key]
    return _CACHE[key]


def test_fetch() -> None:
    """An entry holds its key."""
    key = next(_KEYS)
    assert fetch(key) == [key]
