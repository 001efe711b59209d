"""Makes a cycle on every call, in a program that has switched the collector off."""

import gc

gc.disable()


class Parent:
    """Knows its child, which knows it."""

    def __init__(self) -> None:
        self.child = Child(self)  # LEAK


class Child:
    """Knows its parent."""

    def __init__(self, parent: Parent) -> None:
        self.parent = parent


def grow_family() -> Parent:
    """Make two objects that refer to each other."""
    return Parent()  # LEAK


def test_grow_family() -> None:
    """A parent is its child's parent."""
    parent = grow_family()
    assert parent.child.parent is parent
