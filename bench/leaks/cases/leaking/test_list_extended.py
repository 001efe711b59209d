"""Adds sixty references to one object: a longer list, and no more objects."""

_NOTHING = object()
_SLOTS: list[object] = []


def reserve() -> int:
    """Reserve sixty slots."""
    _SLOTS.extend([_NOTHING] * 60)  # LEAK
    return len(_SLOTS)


def test_reserve() -> None:
    """Slots come in sixties."""
    assert reserve() % 60 == 0
