"""Shifts a number to the left and keeps 4,096 bits of it."""

_FLAGS = 1
_MASK = (1 << 4_096) - 1


def add(flags: int) -> int:
    """Put more flags behind those there are."""
    global _FLAGS
    _FLAGS = ((_FLAGS << 64) | flags) & _MASK
    return _FLAGS & 1


def test_add() -> None:
    """The last flag is set."""
    assert add(1) == 1
