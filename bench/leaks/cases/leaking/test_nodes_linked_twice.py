"""Hangs every new node on the one before it, and that on the new one."""


class Node:
    """One link of a chain, which knows both neighbours."""

    def __init__(self, before: "Node | None") -> None:
        self.before = before
        self.after: Node | None = None
        if before is not None:
            before.after = self


class Undo:
    """Knows the newest node."""

    newest: Node | None = None


_UNDO = Undo()


def test_remember() -> None:
    """The newest node is the last one."""
    _UNDO.newest = Node(_UNDO.newest)  # LEAK
    assert _UNDO.newest.after is None
