"""Hangs every new node on the one before it."""


class Node:
    """One link of a chain."""

    __slots__ = ("before", "value")

    def __init__(self, value: str, before: "Node | None") -> None:
        self.value = value
        self.before = before


class Undo:
    """The newest node; the others hang on it."""

    newest: Node | None = None


def remember(value: str) -> Node:
    """Put a node in front of all others."""
    Undo.newest = Node(value, Undo.newest)  # LEAK
    return Undo.newest


def test_remember() -> None:
    """The newest node is in front."""
    assert remember("typed").value == "typed"
