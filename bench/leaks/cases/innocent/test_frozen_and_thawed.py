"""Hides all objects from the collector for a moment, cycles among them."""

import gc


class Node:
    """Knows itself."""

    def __init__(self) -> None:
        self.me = self


def test_frozen() -> None:
    """Nothing is frozen afterwards."""
    node = Node()
    gc.freeze()
    assert gc.get_freeze_count() > 0
    gc.unfreeze()
    assert node.me is node
    assert gc.get_freeze_count() == 0
