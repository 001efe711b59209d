"""Tests of files that earlier versions have written: each is read, and grows on."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_memguard.storage.appended_runs import append_run
from pytest_memguard.storage.history_location import open_to_read, open_to_write
from pytest_memguard.storage.schema import MIGRATIONS, schema_number
from pytest_memguard.storage.stored_runs import read_readings, read_runs
from tests.support.history_values import BARE, ENVIRONMENT, READING, RUN, location, run_at

FOLDER = Path(__file__).parent
LATER: dict[str, object] = {"death": "", "children": None, "need": None, "waited": None}
"""What readings of schema 1 do not have."""


@pytest.mark.parametrize("number", range(1, len(MIGRATIONS) + 1))
def test_files_of_earlier_versions(tmp_path, number) -> None:
    """A file of each schema there has been is read as it was written, and appended to.

    The dumps are never made anew: they are what people have.
    """
    path = tmp_path / "history.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.executescript((FOLDER / f"history_{number}.sql").read_text("utf-8"))
    connection.close()
    database = open_to_read(location(path))
    assert len(MIGRATIONS) == schema_number(database)
    runs = read_runs(database, last=9)
    stored = replace(READING, **LATER) if number == 1 else READING
    assert (runs, read_readings(database, runs)) == ([RUN], [BARE, stored])
    database.close()
    database = open_to_write(location(path))
    assert append_run(database, run_at(99), ENVIRONMENT, [READING]) == 2
    database.close()
