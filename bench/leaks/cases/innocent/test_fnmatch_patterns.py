"""Matches a new wildcard on every call: ``fnmatch`` has a cache above that of ``re``."""

from fnmatch import fnmatchcase
from itertools import count

_NUMBERS = count(1_000)


def test_wildcard() -> None:
    """A wildcard matches what starts alike."""
    number = next(_NUMBERS)
    assert fnmatchcase(f"{number}.csv", f"{number}.*")
