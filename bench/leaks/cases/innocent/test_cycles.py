"""Makes objects that refer to each other, which the collector finds."""


class Parent:
    """Knows its child, which knows it."""

    def __init__(self) -> None:
        self.child = Child(self)


class Child:
    """Knows its parent."""

    def __init__(self, parent: Parent) -> None:
        self.parent = parent


def test_family() -> None:
    """A parent is its child's parent."""
    parent = Parent()
    assert parent.child.parent is parent
