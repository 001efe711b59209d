"""A cache that fills, beside a buffer that is written out after forty entries."""

from functools import lru_cache
from itertools import count

_NUMBERS = count(1_000)


class Entry:
    """One line of a journal."""


_JOURNAL: list[Entry] = []


@lru_cache(maxsize=5_000)
def parts(number: int) -> list[int]:
    """A list that is worth keeping."""
    return [number, number // 2]


def test_both() -> None:
    """There are never more than forty."""
    _JOURNAL.append(Entry())
    if len(_JOURNAL) >= 40:
        _JOURNAL.clear()
    assert parts(next(_NUMBERS))
    assert len(_JOURNAL) < 40
