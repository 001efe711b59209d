"""Each call gives a long-lived connection another function under the same name."""

from __future__ import annotations

import sqlite3

_CONNECTION = sqlite3.connect(":memory:")


def test_query_with_a_function_of_its_own() -> None:
    """The one before goes."""
    factor = 3
    _CONNECTION.create_function("scaled", 1, lambda value: value * factor)
    assert _CONNECTION.execute("SELECT scaled(2)").fetchone() == (6,)
