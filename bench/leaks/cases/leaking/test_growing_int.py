"""Shifts a number to the left on every call: it gets 300 bytes longer."""

_FLAGS = 1


def add(flags: int) -> int:
    """Put more flags behind those there are."""
    global _FLAGS
    _FLAGS = (_FLAGS << 2_400) | flags  # LEAK
    return _FLAGS & 1


def test_add() -> None:
    """The last flag is set."""
    assert add(1) == 1
