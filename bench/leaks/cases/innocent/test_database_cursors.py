"""Asks one connection another question on every call; it keeps the latest statements."""

import sqlite3
from itertools import count

_CONNECTION = sqlite3.connect(":memory:")
_NUMBERS = count(1)


def test_ask() -> None:
    """The answer is the number."""
    number = next(_NUMBERS)
    assert _CONNECTION.execute(f"select {number}").fetchone() == (number,)
