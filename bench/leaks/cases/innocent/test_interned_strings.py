"""Interns a new string on every call; an interned string goes with its last reference."""

import sys
from itertools import count

_NUMBERS = count(1_000)


def test_intern() -> None:
    """Equal strings are the same."""
    number = next(_NUMBERS)
    first = sys.intern(f"name {number}")
    assert sys.intern(f"name {number}") is first
