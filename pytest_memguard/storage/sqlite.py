"""The history in a SQLite file."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from pytest_memguard.storage.database import SqlRow, SqlValues, StoreError
from pytest_memguard.storage.files import open_regular
from pytest_memguard.storage.ignored import make_folder

_HEADER: Final = b"SQLite format 3\x00"
_PATIENCE: Final = 30.0  # seconds to wait for another run that is writing
# An extended result code has its primary code in the lowest byte (sqlite.org/rescode.html).
_PRIMARY_CODE: Final = 0xFF
_IN_USE: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


class SqliteFile:
    """A `Database` in a file.

    Args:
        path: the file.
        create: whether to make the file and its folder if they do not exist.
        patience: seconds to wait for another process that is writing.

    Raises:
        StoreError: if the file cannot be opened, or is something else.
    """

    def __init__(
        self, path: Path, *, create: bool = False, patience: float = _PATIENCE
    ) -> None:
        self.name = str(path)
        self._patience = patience
        self._connection: sqlite3.Connection | None = None
        with self._as_store_errors():
            _check_header(path)
            if create:
                make_folder(path)
            self._connection = self._open(path, "rwc" if create else "rw")
            try:
                if create:
                    self._write_ahead()
            except sqlite3.Error:
                self.close()
                raise

    def _open(self, path: Path, mode: str) -> sqlite3.Connection:
        connection = self._connect(f"{path.absolute().as_uri()}?mode={mode}")
        try:
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:
            connection.close()
            # a finished file in a folder where no helper files can be made can be read still
            if mode != "rw" or not path.is_file() or _has_more(path):
                raise
            connection = self._connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1")
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _connect(self, uri: str) -> sqlite3.Connection:
        # no isolation level: transactions begin and end where we say so
        return sqlite3.connect(uri, uri=True, timeout=self._patience, isolation_level=None)

    def _write_ahead(self) -> None:
        """Switch to write-ahead logging: readers and a writer do not wait for each other then.

        The file remembers it. SQLite does not always wait for its turn to switch, so this does.
        """
        end = time.monotonic() + self._patience
        while not self._switched(give_up=time.monotonic() > end):
            time.sleep(0.05)

    def _switched(self, *, give_up: bool) -> bool:
        try:
            self._get().execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if give_up or error.sqlite_errorcode & _PRIMARY_CODE not in _IN_USE:
                raise
            return False
        return True

    def _get(self) -> sqlite3.Connection:
        if self._connection is None:
            msg = "it is closed"
            raise sqlite3.ProgrammingError(msg)
        return self._connection

    @contextmanager
    def _as_store_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            if isinstance(error, StoreError):
                raise
            reason = error.strerror if isinstance(error, OSError) else str(error)
            msg = f"{self.name}: {reason or error}"
            raise StoreError(msg) from error

    def rows(self, statement: str, values: SqlValues | None = None) -> list[SqlRow]:
        """Return the rows that a query finds."""
        with self._as_store_errors():
            return list(self._get().execute(statement, values or {}))

    def run(
        self, statement: str, values: SqlValues | Sequence[SqlValues] | None = None
    ) -> None:
        """Execute a statement, once for each set of values if there are several."""
        with self._as_store_errors():
            if isinstance(values, Sequence):
                self._get().executemany(statement, values)
            else:
                self._get().execute(statement, values or {})

    def tables(self) -> set[str]:
        """Return the names of the existing tables."""
        return {name for (name,) in self.rows("SELECT name FROM sqlite_master")}

    @contextmanager
    def write(self) -> Iterator[None]:
        """Return a transaction in which no other process writes."""
        self.run("BEGIN IMMEDIATE")
        try:
            yield
            self.run("COMMIT")
        except BaseException:
            with suppress(StoreError):  # some errors have rolled it back already
                self.run("ROLLBACK")
            raise

    def close(self) -> None:
        """Close the file."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with self._as_store_errors():
                connection.close()


def _check_header(path: Path) -> None:
    """Refuse a file of another kind; an empty file is a database without tables."""
    if not path.exists():
        return
    with os.fdopen(open_regular(path), "rb") as file:
        start = file.read(len(_HEADER))
    if start not in {b"", _HEADER}:
        msg = f"{path} is no SQLite database"
        raise StoreError(msg)


def _has_more(path: Path) -> bool:
    """Return whether a killed run left a log with changes that are not in the file yet."""
    log = path.with_name(f"{path.name}-wal")
    return log.is_file() and log.stat().st_size > 0
