"""Keeps one tuple per call, after another one of the same size was dropped."""

from itertools import count

_SEEN: list[tuple[int, int]] = []
_NUMBERS = count(10_000)


def move() -> int:
    """Compare a place with another one and keep a third."""
    x = next(_NUMBERS)  # LEAK
    before = max((x, 0), (0, x))
    del before
    _SEEN.append((x, 1))  # LEAK
    return _SEEN[-1][1]


def test_move() -> None:
    """The place is the last."""
    assert move() == 1
