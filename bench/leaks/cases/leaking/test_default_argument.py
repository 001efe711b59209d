"""Collects in a default argument what was meant for one call."""


class Item:
    """Something in a basket."""

    def __init__(self, name: str) -> None:
        self.name = name


def put(name: str, basket: list[Item] = []) -> list[Item]:
    """Put an item into a basket that all callers share."""
    basket.append(Item(name))  # LEAK
    return basket


def test_put() -> None:
    """What was put last is at the end."""
    assert put("apple")[-1].name == "apple"
