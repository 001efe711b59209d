"""Keeps this generation of a tree and the one before it."""


class Tree:
    """Has two below it, down to the leaves."""

    def __init__(self, depth: int) -> None:
        self.below = (Tree(depth - 1), Tree(depth - 1)) if depth else ()


class Forest:
    """Now, and before."""

    now = Tree(7)
    before = Tree(7)


def test_grow() -> None:
    """There are two below."""
    Forest.before, Forest.now = Forest.now, Tree(7)
    assert len(Forest.now.below) == 2
