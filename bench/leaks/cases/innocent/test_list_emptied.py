"""A list of references that is emptied when it has 2,000 of them."""

_NOTHING = object()
_SLOTS: list[object] = []


def reserve() -> int:
    """Reserve sixty slots."""
    if len(_SLOTS) > 2_000:
        _SLOTS.clear()
    _SLOTS.extend([_NOTHING] * 60)
    return len(_SLOTS)


def test_reserve() -> None:
    """Slots come in sixties."""
    assert reserve() % 60 == 0
