"""A hand-written cache with a ``maxsize`` that no check reaches."""

from itertools import count


class Cache:
    """Drops its oldest entry when it is full."""

    def __init__(self, maxsize: int) -> None:
        self.maxsize = maxsize
        self.entries: dict[int, list[int]] = {}

    def __len__(self) -> int:
        """How many entries there are."""
        return len(self.entries)

    def get(self, key: int) -> list[int]:
        """Find an entry or make it."""
        if key not in self.entries:
            if len(self.entries) >= self.maxsize:
                del self.entries[next(iter(self.entries))]
            self.entries[key] = [key]
        return self.entries[key]


_CACHE = Cache(maxsize=5_000)
_KEYS = count(1_000)


def test_get() -> None:
    """An entry holds its key."""
    key = next(_KEYS)
    assert _CACHE.get(key) == [key]
