"""The tables of the history, and the migrations from each number of the schema to the next."""

from __future__ import annotations

from typing import Final

from pytest_memguard.storage.database import Database, StoreError

SCHEMA: Final = "memguard_schema"

FIRST: Final = (
    "CREATE TABLE memguard_schema (number INTEGER NOT NULL)",
    "INSERT INTO memguard_schema (number) VALUES (0)",
    """
    CREATE TABLE memguard_environments (
        id INTEGER PRIMARY KEY,
        platform TEXT NOT NULL,
        implementation TEXT NOT NULL,
        python TEXT NOT NULL,
        pytest TEXT NOT NULL,
        memguard TEXT NOT NULL,
        allocator TEXT NOT NULL,
        UNIQUE (platform, implementation, python, pytest, memguard, allocator)
    )
    """,
    """
    CREATE TABLE memguard_runs (
        id INTEGER PRIMARY KEY,
        environment_id INTEGER NOT NULL REFERENCES memguard_environments (id),
        ended TEXT NOT NULL,
        commit_id TEXT NOT NULL,
        branch TEXT NOT NULL,
        dirty INTEGER,
        exit_status INTEGER NOT NULL,
        aborted TEXT NOT NULL,
        tests INTEGER NOT NULL
    )
    """,
    """
    CREATE TABLE memguard_tests (
        id INTEGER PRIMARY KEY,
        nodeid TEXT NOT NULL UNIQUE
    )
    """,
    """
    CREATE TABLE memguard_readings (
        run_id INTEGER NOT NULL REFERENCES memguard_runs (id),
        test_id INTEGER NOT NULL REFERENCES memguard_tests (id),
        outcome TEXT NOT NULL,
        finding TEXT NOT NULL,
        metric TEXT NOT NULL,
        peak_bytes BIGINT,
        ceiling_bytes BIGINT,
        growth_bytes BIGINT,
        imports INTEGER NOT NULL,
        leak TEXT NOT NULL,
        seconds DOUBLE PRECISION NOT NULL,
        worker TEXT NOT NULL,
        PRIMARY KEY (test_id, run_id)
    )
    """,
    "CREATE INDEX memguard_readings_of_run ON memguard_readings (run_id)",
)
"""Makes schema 1."""

SECOND: Final = (
    "ALTER TABLE memguard_readings ADD COLUMN death TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE memguard_readings ADD COLUMN children_bytes BIGINT",
    "ALTER TABLE memguard_readings ADD COLUMN need_bytes BIGINT",
    "ALTER TABLE memguard_readings ADD COLUMN waited_seconds DOUBLE PRECISION",
)
"""Adds how a test's process died, what its children used, and how it waited for memory."""

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (FIRST, SECOND)
"""The statements that lead to each number, from 1 on; released ones never change."""


def schema_number(database: Database) -> int:
    """Return the number of the schema in a database; 0 if it has none of our tables.

    Raises:
        StoreError: if the database cannot be read.
    """
    if SCHEMA not in database.tables():
        return 0
    numbers = database.rows("SELECT number FROM memguard_schema")
    if len(numbers) != 1:
        msg = f"{database.name}: the table {SCHEMA} should have one row, it has {len(numbers)}"
        raise StoreError(msg)
    return int(numbers[0][0])


def check_schema(database: Database) -> int:
    """Return the number of the schema, if this version can use it.

    Raises:
        StoreError: if the schema is newer; nothing was changed.
    """
    number = schema_number(database)
    if number > len(MIGRATIONS):
        msg = (
            f"{database.name} has schema {number}, this version knows schemas up to "
            f"{len(MIGRATIONS)}: use a version of pytest-memguard that is as new as the one "
            "that wrote it"
        )
        raise StoreError(msg)
    return number


def bring_up_to_date(database: Database) -> None:
    """Make the tables, or migrate older ones; the caller begins a transaction.

    Raises:
        StoreError: if the schema is newer, or a statement fails.
    """
    number = check_schema(database)
    if number == len(MIGRATIONS):
        return
    for statements in MIGRATIONS[number:]:
        for statement in statements:
            database.run(statement)
    database.run("UPDATE memguard_schema SET number = :number", {"number": len(MIGRATIONS)})
