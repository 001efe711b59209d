"""Packs an object and unpacks it again."""

import pickle


class Point:
    """A place."""

    def __init__(self, x: int, y: int) -> None:
        self.x = x
        self.y = y


def test_round_trip() -> None:
    """The copy is at the same place."""
    copy = pickle.loads(pickle.dumps(Point(3, 4)))
    assert (copy.x, copy.y) == (3, 4)
