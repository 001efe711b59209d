"""A store with a ``capacity``, of an object that stays."""

from collections import OrderedDict
from itertools import count


class Store:
    """Drops what was used longest ago."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.items: OrderedDict[str, list[str]] = OrderedDict()

    def put(self, key: str) -> int:
        """Store something."""
        self.items[key] = [key]
        if len(self.items) > self.capacity:
            self.items.popitem(last=False)
        return len(self.items)


_STORE = Store(capacity=1_500)
_NUMBERS = count(1_000)


def test_put() -> None:
    """The store does not get too full."""
    assert _STORE.put(f"n{next(_NUMBERS)}") <= 1_500
