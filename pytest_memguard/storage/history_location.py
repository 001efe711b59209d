"""Opens a history, a SQLite file or a server, as the user names it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from pytest_memguard.errors import ConfigError
from pytest_memguard.model.past_runs import HistoryLocation
from pytest_memguard.storage import schema
from pytest_memguard.storage.database import Database, StoreError
from pytest_memguard.storage.files import check_writable, not_regular
from pytest_memguard.storage.schema import SCHEMA, bring_up_to_date, check_schema

FILE: Final = ".memguard/history.sqlite3"
SQLITE_HEADER: Final = b"SQLite format 3\x00"


def open_to_write(location: HistoryLocation) -> Database:
    """Open a history to append to it; a file is made if it does not exist.

    Raises:
        ConfigError: if the URL makes no sense, or a library is missing.
        StoreError: if the history cannot be used.
    """
    _refuse_half_url(location)
    if location.is_url:
        from pytest_memguard.storage.postgres import Server

        return Server(location.text)
    from pytest_memguard.storage.sqlite import SqliteFile

    return SqliteFile(Path(location.text), create=True)


def open_to_read(location: HistoryLocation) -> Database:
    """Open a history to read it; an older schema is brought up to date.

    Raises:
        ConfigError: if the URL makes no sense, or a library is missing.
        StoreError: if the history does not exist, or cannot be used.
    """
    database = _open(location)
    try:
        number = check_schema(database)
        if not number:
            msg = f"{database.name} has no runs: pytest --mem-history appends them"
            raise StoreError(msg)
        if number < len(schema.MIGRATIONS):
            with database.write():
                bring_up_to_date(database)
    except BaseException:
        database.close()
        raise
    return database


def is_history(text: str) -> bool:
    """Return whether this is the URL of a server, or the path of a SQLite file."""
    if HistoryLocation(text=text).is_url:
        return True
    path = Path(text)
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(SQLITE_HEADER)) == SQLITE_HEADER


def check_location(location: HistoryLocation) -> None:
    """Check before the first test that a run can be appended at the end.

    Raises:
        ConfigError: if the URL makes no sense, or a library is missing.
        StoreError: if the history cannot be used; it is not changed.
    """
    _refuse_half_url(location)
    path = Path(location.text)
    if not location.is_url:
        problem = _unwritable(path) if path.exists() else check_writable(path)
        if problem:
            msg = f"{location}: {problem}"
            raise StoreError(msg)
        if not path.exists():
            return
    database = _open(location)
    try:
        if not check_schema(database) and not location.is_url and database.tables():
            msg = f"{location} is a database of something else: it has no table {SCHEMA}"
            raise StoreError(msg)
    finally:
        database.close()


def _unwritable(path: Path) -> str:
    problem = not_regular(path)
    if not problem and not _may_write(path):
        return "it cannot be written"
    if not problem and not _may_write(path.parent):
        return "its folder cannot be written, and SQLite needs helper files there"
    return problem


def _may_write(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _refuse_half_url(location: HistoryLocation) -> None:
    """Refuse a broken URL, which would be taken for a path: its parts would name folders.

    Raises:
        ConfigError: without the text, which may contain a password.
    """
    if location.is_half_url:
        msg = (
            "the place of the history looks like a URL and is none: write one like "
            "postgresql+psycopg://user@host/name, or ./ before the path of a file"
        )
        raise ConfigError(msg)


def _open(location: HistoryLocation) -> Database:
    _refuse_half_url(location)
    if location.is_url:
        from pytest_memguard.storage.postgres import Server

        return Server(location.text)
    from pytest_memguard.storage.sqlite import SqliteFile

    path = Path(location.text)
    if not path.exists():
        msg = f"{location}: there is no such file"
        raise StoreError(msg)
    return SqliteFile(path)
