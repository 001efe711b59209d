"""A connection keeps its latest statements, and a list keeps the rows for ever."""

import sqlite3
from itertools import count

_CONNECTION = sqlite3.connect(":memory:", cached_statements=300)
_NUMBERS = count(1_000)


class Row:
    """An answer."""

    def __init__(self, number: int) -> None:
        self.number = number


_ROWS: list[Row] = []


def ask(number: int) -> int:
    """Let the database say a number."""
    ((said,),) = _CONNECTION.execute(f"select {number}")  # LEAK
    _ROWS.append(Row(said))  # LEAK
    return _ROWS[-1].number


def test_ask() -> None:
    """It says the number."""
    number = next(_NUMBERS)
    assert ask(number) == number
