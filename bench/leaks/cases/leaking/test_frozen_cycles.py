"""Hides objects that refer to each other from the collector: they stay for ever."""

import gc


class Parent:
    """Knows its child."""

    def __init__(self) -> None:
        self.child = Child(self)  # LEAK


class Child:
    """Knows its parent."""

    def __init__(self, parent: Parent) -> None:
        self.parent = parent


def prepare() -> bool:
    """Get ready for a fork."""
    family = Parent()  # LEAK
    gc.freeze()
    return family.child.parent is family


def test_prepare() -> None:
    """The child knows its parent."""
    assert prepare()
