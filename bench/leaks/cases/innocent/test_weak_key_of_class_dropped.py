"""Notes what is wrong with objects of a class made for them, without keeping the objects."""

import traceback
from weakref import WeakKeyDictionary


class Orders:
    """Remembers the orders that make no sense."""

    bad: "WeakKeyDictionary[object, tuple[str, list[str]]]" = WeakKeyDictionary()


def test_bad_order() -> None:
    """An object whose order makes no sense is noted for as long as it lives."""

    class Order:
        """Of no use to others."""

    order = Order()
    Orders.bad[order] = (repr(order), traceback.format_stack())
    assert order in Orders.bad
