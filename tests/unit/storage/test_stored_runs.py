"""Tests of the history in a SQLite file: appending, reading back, and what it refuses."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_memguard.model.past_runs import Commit
from pytest_memguard.sizes import MIB
from pytest_memguard.storage import schema
from pytest_memguard.storage.appended_runs import append_run
from pytest_memguard.storage.database import StoreError
from pytest_memguard.storage.history_location import check_location, open_to_read, open_to_write
from pytest_memguard.storage.sqlite import SqliteFile
from pytest_memguard.storage.stored_runs import (
    read_changing,
    read_readings,
    read_runs,
    read_tests,
)
from tests.support.history_values import (
    BARE,
    ENVIRONMENT,
    READING,
    RUN,
    fill,
    location,
    reading,
    run_at,
)

UNPRIVILEGED = 65534


@pytest.fixture
def path(tmp_path):
    """Where the history is to be, in a folder that is not there yet."""
    return tmp_path / ".memguard" / "history.sqlite3"


def everything(path) -> list[object]:
    """What a history holds."""
    database = open_to_read(location(path))
    runs = read_runs(database, last=1000)
    found = [*runs, *read_readings(database, runs)]
    database.close()
    return found


def test_what_is_appended_is_read(path) -> None:
    """Every field of a run and of its readings comes back."""
    database = open_to_write(location(path))
    assert append_run(database, RUN, ENVIRONMENT, [READING, BARE]) == 1
    assert read_tests(database) == [(BARE.nodeid, 2), (READING.nodeid, 1)]
    database.close()
    assert everything(path) == [RUN, BARE, READING]


def test_an_unknown_commit_stays_unknown(path) -> None:
    """Without git there is no commit, no branch and no flag, and none is made up."""
    database = open_to_write(location(path))
    append_run(database, replace(RUN, commit=Commit()), ENVIRONMENT, [])
    (run,) = read_runs(database, last=1)
    assert Commit() == run.commit
    database.close()


def test_names_that_no_database_holds(path) -> None:
    """Half a character, or a NUL, is stored as an escape; the test is the same one again."""
    database = open_to_write(location(path))
    run = replace(RUN, aborted="half \udc80", commit=replace(RUN.commit, branch="\ud800"))
    for _ in range(2):
        append_run(database, run, ENVIRONMENT, [replace(READING, nodeid="a\udc80\0")])
    assert [nodeid for nodeid, _ in read_tests(database)] == ["a\\udc80\\x00"]
    stored = read_runs(database, last=1)[0]
    assert (stored.aborted, stored.commit.branch) == ("half \\udc80", "\\ud800")
    database.close()


def test_runs_are_numbered_and_share_their_tests(path) -> None:
    """A second run gets the next number; tests and environments are stored once."""
    fill(path, {"a": [1, 2, 3], "b": [4, 5, 6]})
    with sqlite3.connect(path) as connection:
        counts = [
            connection.execute(f"SELECT COUNT(*) FROM memguard_{table}").fetchone()[0]  # noqa: S608  our own names
            for table in ("environments", "runs", "tests", "readings")
        ]
    connection.close()
    assert counts == [1, 3, 2, 6]


def test_another_environment_is_kept_apart(path) -> None:
    """Runs know where they took place: the interpreter's micro version does not matter."""
    database = open_to_write(location(path))
    for number, python in enumerate(("3.12.1", "3.12.2", "3.13.0"), 1):
        append_run(database, run_at(number), replace(ENVIRONMENT, python=python), [])
    places = [run.environment.rpartition(" ")[2] for run in read_runs(database, last=9)]
    database.close()
    assert places == ["3.12", "3.12", "3.13"]


@pytest.mark.parametrize(
    ("last", "branch", "expected"),
    [
        pytest.param(9, "", [1, 2, 3, 4], id="all"),
        pytest.param(2, "", [3, 4], id="the-latest"),
        pytest.param(9, "main", [1, 3], id="of-a-branch"),
        pytest.param(1, "main", [3], id="the-latest-of-a-branch"),
        pytest.param(9, "gone", [], id="of-no-branch"),
    ],
)
def test_which_runs(path, last, branch, expected) -> None:
    """The latest runs are read, of one branch if asked for, the oldest first."""
    database = open_to_write(location(path))
    for number in range(1, 5):
        commit = Commit(name="c", branch="main" if number % 2 else "other", dirty=True)
        append_run(database, run_at(number, commit=commit), ENVIRONMENT, [])
    assert [run.number for run in read_runs(database, last=last, branch=branch)] == expected
    database.close()


def test_which_readings(path) -> None:
    """Only those of the runs and tests asked for, by test and in the order of the runs."""
    fill(path, {"b": [1, 2, 3], "a": [4, 5, 6]})
    database = open_to_read(location(path))
    runs = read_runs(database, last=2)
    found = read_readings(database, runs)
    assert [(r.nodeid, r.run) for r in found] == [("a", 2), ("a", 3), ("b", 2), ("b", 3)]
    number = dict(read_tests(database))["b"]
    assert found[2:] == read_readings(database, runs, [number])
    assert read_readings(database, []) == []
    database.close()


def test_which_tests_change(path) -> None:
    """Tests whose peaks differ by a share and by a size are found, in the runs asked for."""
    peaks = {"flat": [9, 9, 9], "large": [100, 104, 100], "small": [1, 1.9, 1]}
    fill(path, {**peaks, "grows": [9, 9, 10], "earlier": [5, 9, 9]})
    database = open_to_read(location(path))
    names = {number: nodeid for nodeid, number in read_tests(database)}
    for last, expected in ((3, ["earlier", "grows"]), (2, ["grows"]), (1, [])):
        runs = read_runs(database, last=last)
        found = read_changing(database, runs, share=0.05, floor=MIB)
        assert expected == sorted(names[number] for number in found)
    assert read_changing(database, [], share=0.05, floor=MIB) == []
    database.close()


def test_more_than_fits_in_a_statement(path) -> None:
    """Six thousand tests are appended and found again, each once."""
    names = [f"t.py::test[{number}]" for number in range(6000)]
    database = open_to_write(location(path))
    append_run(database, RUN, ENVIRONMENT, [reading(1, 1, name) for name in names])
    numbers = [number for _, number in read_tests(database)]
    found = read_readings(database, read_runs(database, last=1), numbers)
    database.close()
    assert sorted(names) == [each.nodeid for each in found]


def test_an_append_that_fails_leaves_nothing(path) -> None:
    """Two readings of one test are refused, and the run with them."""
    fill(path, {"a": [1]})
    before = everything(path)
    database = open_to_write(location(path))
    with pytest.raises(StoreError, match="UNIQUE constraint failed"):
        append_run(database, RUN, ENVIRONMENT, [READING, READING])
    database.close()
    assert before == everything(path)


def test_a_locked_file_is_an_error(path) -> None:
    """A writer that waits too long for another one raises an error and changes nothing."""
    fill(path, {"a": [1]})
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    database = SqliteFile(path, create=True, patience=0.05)
    with pytest.raises(StoreError, match=f"^{path}: database is locked$"):
        append_run(database, RUN, ENVIRONMENT, [READING])
    database.close()
    other.close()
    assert len(everything(path)) == 2


def test_readers_do_not_wait(path) -> None:
    """A history can be read while a run is being appended."""
    fill(path, {"a": [1]})
    writer = open_to_write(location(path))
    with writer.write():
        writer.run("DELETE FROM memguard_readings")
        assert len(everything(path)) == 2
    writer.close()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(b"{}", "is no SQLite database", id="json"),
        pytest.param(b"SQLite format 2\x00" * 9, "is no SQLite database", id="nearly"),
        pytest.param(
            b"SQLite format 3\x00" + bytes(1000), ": file is not a database", id="damaged"
        ),
    ],
)
def test_other_files_are_refused(path, content, problem) -> None:
    """A file that is no SQLite database is refused by every way to open it, and kept."""
    path.parent.mkdir()
    path.write_bytes(content)
    for use in (check_location, open_to_read, open_to_write):
        with pytest.raises(StoreError) as caught:
            use(location(path))
        assert f"{path}{problem if problem[0] == ':' else f' {problem}'}" == str(caught.value)
    assert path.read_bytes() == content


def test_a_database_of_something_else_is_refused(path) -> None:
    """Our tables are not put into a file of another program."""
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE visits (url TEXT)")
    connection.close()
    with pytest.raises(StoreError, match="is a database of something else: it has no table"):
        check_location(location(path))


@pytest.mark.parametrize("made", ["missing", "empty", "killed-at-once"])
def test_nothing_yet(path, made) -> None:
    """A file that is not there, or has no tables yet, can be appended to but not read."""
    path.parent.mkdir()
    if made == "empty":
        path.touch()
    elif made == "killed-at-once":
        SqliteFile(path, create=True).close()
    check_location(location(path))
    problem = "there is no such file" if made == "missing" else "has no runs"
    with pytest.raises(StoreError, match=problem):
        open_to_read(location(path))
    fill(path, {"a": [1]})
    assert len(everything(path)) == 2


def test_a_folder_is_refused(tmp_path) -> None:
    """A folder is refused as a history."""
    with pytest.raises(StoreError, match="it is a folder, not a regular file"):
        check_location(location(tmp_path))


def test_a_newer_schema_is_kept(path) -> None:
    """A history of a later version is named with both numbers, and not touched."""
    fill(path, {"a": [1]})
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE memguard_schema SET number = 99")
    connection.close()
    before = path.read_bytes()
    for use in (check_location, open_to_read):
        with pytest.raises(StoreError, match=f"^{path} has schema 99, this version knows"):
            use(location(path))
    database = open_to_write(location(path))
    with pytest.raises(StoreError, match="has schema 99"):
        append_run(database, RUN, ENVIRONMENT, [READING])
    database.close()
    assert before == path.read_bytes()


def test_a_schema_without_number_is_an_error(path) -> None:
    """A file whose schema table was emptied is not treated as a new one."""
    fill(path, {"a": [1]})
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM memguard_schema")
    connection.close()
    with pytest.raises(StoreError, match="should have one row, it has 0"):
        check_location(location(path))


@pytest.fixture
def later(monkeypatch) -> None:
    """A later version of the schema, with one more column."""
    added = ("ALTER TABLE memguard_readings ADD COLUMN allocations BIGINT",)
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, added))


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("how", ["append", "read"])
def test_an_older_file_is_brought_up_to_date(path, how, monkeypatch) -> None:
    """Stored runs stay, whichever process opens the file first."""
    with monkeypatch.context() as before:
        before.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:-1])
        fill(path, {"a": [1, 2]})
        stored = everything(path)
    check_location(location(path))
    if how == "append":
        database = open_to_write(location(path))
        append_run(database, run_at(3), ENVIRONMENT, [])
    else:
        database = open_to_read(location(path))
    assert database.rows("SELECT DISTINCT allocations FROM memguard_readings") == [(None,)]
    assert schema.schema_number(database) == len(schema.MIGRATIONS)
    database.close()
    assert [found for found in everything(path) if found in stored] == stored


def test_a_migration_that_fails_changes_nothing(path, monkeypatch) -> None:
    """After a failed migration the file has the old schema, with every run."""
    fill(path, {"a": [1]})
    broken = ("CREATE TABLE memguard_more (x INTEGER)", "ALTER TABLE nothing ADD COLUMN x")
    with monkeypatch.context() as version:
        version.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, broken))
        with pytest.raises(StoreError, match="nothing"):
            open_to_read(location(path))
    database = open_to_read(location(path))
    assert (schema.schema_number(database), "memguard_more" in database.tables()) == (
        len(schema.MIGRATIONS),
        False,
    )
    database.close()
    assert len(everything(path)) == 2


@pytest.fixture
def restricted():
    """A folder in which read-only files cannot be written: root may write anything."""
    with tempfile.TemporaryDirectory() as folder:
        root = hasattr(os, "geteuid") and os.geteuid() == 0
        if root:
            os.chown(folder, UNPRIVILEGED, UNPRIVILEGED)
            os.seteuid(UNPRIVILEGED)
        try:
            yield Path(folder)
        finally:
            if root:
                os.seteuid(0)
            Path(folder).chmod(0o700)


@pytest.mark.skipif(os.name != "posix", reason="files have other permissions there")
def test_a_read_only_history_is_an_error(restricted) -> None:
    """The check refuses a read-only file and a read-only folder."""
    path = restricted / "history.sqlite3"
    fill(path, {"a": [1]})
    path.chmod(0o400)
    with pytest.raises(StoreError, match=r": it cannot be written$"):
        check_location(location(path))
    path.chmod(0o600)
    restricted.chmod(0o500)
    with pytest.raises(StoreError, match=r": its folder cannot be written"):
        check_location(location(path))
    with pytest.raises(StoreError, match="Permission denied"):
        check_location(location(restricted / "new.sqlite3"))


@pytest.mark.skipif(os.name != "posix", reason="files have other permissions there")
def test_a_read_only_history_can_be_read(restricted) -> None:
    """Reading a history needs no right to write, neither to the file nor to its folder."""
    path = restricted / "history.sqlite3"
    fill(path, {"a": [1]})
    path.chmod(0o400)
    restricted.chmod(0o500)
    assert len(everything(path)) == 2
    database = open_to_read(location(path))
    with pytest.raises(StoreError, match="readonly database"):
        append_run(database, RUN, ENVIRONMENT, [READING])
    database.close()
