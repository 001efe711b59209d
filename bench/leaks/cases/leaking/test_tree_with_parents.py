"""Adds nodes to a tree in which each node knows its parent and the root."""


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


for _ in range(3):
    Node(Node(App.tree))


def test_node() -> None:
    """A node belongs to the tree."""
    parent = App.tree.children[1].children[0]
    assert Node(parent).root is App.tree  # LEAK
