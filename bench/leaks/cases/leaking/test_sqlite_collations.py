"""Each call gives a long-lived connection an order of its own for texts."""

from __future__ import annotations

import itertools
import sqlite3


class Store:
    """Words in an order that the caller chooses."""

    def __init__(self) -> None:
        """Begin with a few words."""
        self.connection = sqlite3.connect(":memory:")
        self.connection.execute("CREATE TABLE words (word TEXT)")
        self.connection.executemany("INSERT INTO words VALUES (?)", [("bb",), ("a",)])
        self._numbers = itertools.count()

    def ordered(self, length: int) -> list[str]:
        """The words, by as many of their letters."""

        def compare(first: str, second: str) -> int:
            first, second = first[:length], second[:length]
            return (first > second) - (first < second)

        name = f"letters_{next(self._numbers)}"
        self.connection.create_collation(name, compare)  # LEAK
        query = f"SELECT word FROM words ORDER BY word COLLATE {name}"  # noqa: S608
        return [word for (word,) in self.connection.execute(query)]


_STORE = Store()


def test_words_in_order() -> None:
    """Two letters are enough."""
    assert _STORE.ordered(2) == ["a", "bb"]
