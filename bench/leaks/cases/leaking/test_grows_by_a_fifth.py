"""Each call adds a fifth of the objects that there are."""


class Node:
    """One of more and more."""


_NODES = [Node() for _ in range(5)]


def spread() -> int:
    """One in five makes another one."""
    more = [Node() for _ in range(len(_NODES) // 5)]  # LEAK
    _NODES.extend(more)  # LEAK
    return len(more)


def test_spread() -> None:
    """There is one more at least."""
    assert spread() >= 1
