"""Two caches of one class, each with a ``maxsize``."""

from itertools import count


class Cache:
    """Drops its oldest entry when it is full."""

    def __init__(self, maxsize: int) -> None:
        self.maxsize = maxsize
        self.entries: dict[int, list[int]] = {}

    def get(self, key: int) -> list[int]:
        """Find an entry or make it."""
        if key not in self.entries:
            if len(self.entries) >= self.maxsize:
                del self.entries[next(iter(self.entries))]
            self.entries[key] = [key]
        return self.entries[key]


_USERS = Cache(maxsize=2_500)
_ORDERS = Cache(maxsize=4_000)
_KEYS = count(1_000)


def test_both() -> None:
    """Both have the key."""
    key = next(_KEYS)
    assert _USERS.get(key) == _ORDERS.get(key)
