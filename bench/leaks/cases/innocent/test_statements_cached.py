"""A connection keeps its latest 300 statements, and every one is new."""

import sqlite3
from itertools import count

_CONNECTION = sqlite3.connect(":memory:", cached_statements=300)
_NUMBERS = count(1_000)


def test_ask() -> None:
    """The database says the number."""
    number = next(_NUMBERS)
    assert list(_CONNECTION.execute(f"select {number}")) == [(number,)]
