"""What the history needs from a database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeAlias

SqlRow: TypeAlias = Sequence[Any]
SqlValues: TypeAlias = Mapping[str, object]


class StoreError(OSError):
    """A database cannot be used; the message is one sentence without passwords."""


class Database(Protocol):
    """Statements in the SQL that SQLite and PostgreSQL share, with ``:name`` for values.

    Every method raises `StoreError` if anything goes wrong in the database.
    """

    name: str
    """What messages call the database."""

    def rows(self, statement: str, values: SqlValues | None = None) -> list[SqlRow]:
        """Return the rows that a query finds."""

    def run(
        self, statement: str, values: SqlValues | Sequence[SqlValues] | None = None
    ) -> None:
        """Execute a statement, once for each set of values if there are several."""

    def tables(self) -> set[str]:
        """Return the names of the existing tables."""

    def write(self) -> AbstractContextManager[None]:
        """Return a transaction in which no other process writes.

        It is stored completely, or not at all.
        """

    def close(self) -> None:
        """Close the database."""
