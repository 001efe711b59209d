"""Notes what is wrong with objects of a class made for them, by the objects themselves."""

import traceback
from weakref import WeakKeyDictionary


class Orders:
    """Remembers the orders that make no sense."""

    bad: "WeakKeyDictionary[object, tuple[object, list[str]]]" = WeakKeyDictionary()


def test_bad_order() -> None:
    """An object whose order makes no sense is noted."""

    class Order:  # LEAK
        """Of no use to others."""

    order = Order()  # LEAK
    Orders.bad[order] = (order, traceback.format_stack())  # LEAK
    assert order in Orders.bad
