"""Swaps two generations of a tree, and loses a little native memory."""

import pytest

leaky = pytest.importorskip("leaky", reason="the C extension is not built")


class Tree:
    """Has two below it, down to the leaves."""

    def __init__(self, depth: int) -> None:
        self.below = (Tree(depth - 1), Tree(depth - 1)) if depth else ()


class Forest:
    """Now, and before."""

    now = Tree(7)
    before = Tree(7)


def grow() -> int:
    """Take a new tree."""
    Forest.before, Forest.now = Forest.now, Tree(7)
    leaky.reserve(80)  # LEAK
    return len(Forest.now.below)


def test_grow() -> None:
    """There are two below."""
    assert grow() == 2
