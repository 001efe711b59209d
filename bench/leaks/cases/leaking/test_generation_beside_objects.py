"""Makes a whole index anew on every call, and keeps one object of each."""

from itertools import count

_NUMBERS = count(1_000)
_INDEX: dict[int, str] = {}


class Version:
    """One for each index."""


_VERSIONS: list[Version] = []


def rebuild(start: int) -> int:
    """Make it anew."""
    for key in range(3_000):
        _INDEX[key] = f"entry {start + key} " * 3
    _VERSIONS.append(Version())  # LEAK
    return len(_INDEX)


def test_rebuild() -> None:
    """The index is as long as ever."""
    assert rebuild(next(_NUMBERS)) == 3_000
