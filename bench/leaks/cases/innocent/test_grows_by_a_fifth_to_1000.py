"""Each call adds a fifth of the objects that there are, until there are a thousand."""


class Node:
    """One of more and more."""


_NODES = [Node() for _ in range(5)]


def spread() -> int:
    """One in five makes another one while there is room."""
    if len(_NODES) < 1_000:
        _NODES.extend([Node() for _ in range(len(_NODES) // 5)])
    return len(_NODES)


def test_spread() -> None:
    """There are not too many."""
    assert spread() < 1_200
