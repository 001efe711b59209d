"""Makes a whole index anew on every call, in place."""

from itertools import count

_NUMBERS = count(1_000)
_INDEX: dict[int, str] = {}


def rebuild(start: int) -> int:
    """Make it anew."""
    for key in range(3_000):
        _INDEX[key] = f"entry {start + key} " * 3
    return len(_INDEX)


def test_rebuild() -> None:
    """The index is as long as ever."""
    assert rebuild(next(_NUMBERS)) == 3_000
