"""Adds nodes to a tree in which each node knows its parent, and takes them out again."""


class Node:
    """Part of a tree."""

    def __init__(self, parent: "Node | None" = None) -> None:
        self.parent = parent
        self.root: Node = parent.root if parent is not None else self
        self.children: list[Node] = []
        if parent is not None:
            parent.children.append(self)


class App:
    """Has the tree."""

    tree = Node()


def test_node() -> None:
    """A node belongs to the tree, which is pruned at times."""
    assert Node(App.tree).root is App.tree
    del App.tree.children[:-5]
