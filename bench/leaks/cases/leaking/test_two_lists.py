"""Two classes, each kept by a list of its own."""


class Order:
    """What is bought."""


class Invoice:
    """What is to be paid."""

    def __init__(self, order: Order) -> None:
        self.text = f"for {id(order)}"  # LEAK


_ORDERS: list[Order] = []
_INVOICES: list[Invoice] = []


def buy() -> str:
    """Buy something."""
    order = Order()  # LEAK
    _ORDERS.append(order)  # LEAK
    invoice = Invoice(order)  # LEAK
    _INVOICES.append(invoice)  # LEAK
    return invoice.text


def test_buy() -> None:
    """The invoice is for an order."""
    assert buy().startswith("for")
