"""Each call gives a connection a function under a new name, and takes it away again."""

from __future__ import annotations

import itertools
import sqlite3

_CONNECTION = sqlite3.connect(":memory:", cached_statements=1)
_NUMBERS = itertools.count()


def test_query_with_a_function_of_its_own() -> None:
    """Names come round again."""
    name = f"scaled_{next(_NUMBERS) % 4}"
    _CONNECTION.create_function(name, 1, abs)
    assert _CONNECTION.execute(f"SELECT {name}(-2)").fetchone() == (2,)
    _CONNECTION.create_function(name, 1, None)
