"""What the history asks of a database, whichever it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeAlias

SqlRow: TypeAlias = Sequence[Any]
SqlValues: TypeAlias = Mapping[str, object]


class StoreError(OSError):
    """A database that cannot be used, in one sentence that has no password in it."""


class Database(Protocol):
    """Statements in the SQL that SQLite and PostgreSQL share, with ``:name`` for values.

    Every method raises `StoreError` for whatever goes wrong in the database.
    """

    name: str
    """What messages call it."""

    def rows(self, statement: str, values: SqlValues | None = None) -> list[SqlRow]:
        """What a query finds."""

    def run(
        self, statement: str, values: SqlValues | Sequence[SqlValues] | None = None
    ) -> None:
        """Carry out a statement; once for each, where there are several sets of values."""

    def tables(self) -> set[str]:
        """Names of the tables that are there."""

    def write(self) -> AbstractContextManager[None]:
        """A transaction in which nobody else writes: all of it is kept, or nothing."""

    def close(self) -> None:
        """Let go of it."""
