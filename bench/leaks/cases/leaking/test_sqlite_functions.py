"""A connection keeps a table of functions, and each call adds one under a new name."""

from __future__ import annotations

import itertools
import sqlite3

_CONNECTION = sqlite3.connect(":memory:")
_NUMBERS = itertools.count()


class Scale:
    """Multiplies by a factor."""

    def __init__(self, factor: int) -> None:
        """Note the factor."""
        self.factor = factor

    def __call__(self, value: int) -> int:
        """Multiply."""
        return value * self.factor


def test_query_with_a_function_of_its_own() -> None:
    """The function is not removed when the query is done."""
    name = f"scaled_{next(_NUMBERS)}"
    _CONNECTION.create_function(name, 1, Scale(3))  # LEAK
    assert _CONNECTION.execute(f"SELECT {name}(2)").fetchone() == (6,)
