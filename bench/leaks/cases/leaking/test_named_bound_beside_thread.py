"""Leaves a thread behind beside a cache with a ``maxsize``."""

import threading
from itertools import count

_STOP = threading.Event()


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


_CACHE = Cache(maxsize=3_000)
_KEYS = count(1_000)


def watch() -> bool:
    """Start a thread that waits for something that never comes."""
    thread = threading.Thread(target=_STOP.wait, daemon=True)  # LEAK
    thread.start()  # LEAK
    return thread.is_alive()


def test_watch() -> None:
    """The thread is running, and there is an entry."""
    assert _CACHE.get(next(_KEYS))
    assert watch()
