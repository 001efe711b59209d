"""The history on a real PostgreSQL server: the same statements, the same answers."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from textwrap import dedent

import pytest
import sqlalchemy

from pytest_memguard.cli import main
from pytest_memguard.model.past_runs import Commit
from pytest_memguard.storage import schema
from pytest_memguard.storage.appended_runs import append_run
from pytest_memguard.storage.database import StoreError
from pytest_memguard.storage.history_location import check_location, open_to_read, open_to_write
from pytest_memguard.storage.postgres import Server
from pytest_memguard.storage.stored_runs import read_readings, read_runs, read_tests
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
from tests.support.postgres_server import PASSWORD

SUITE = """
    import pytest

    @pytest.mark.parametrize("n", range(3))
    def test_n(n):
        bytearray(n * (8 << 20))
        assert n != 1
"""


@pytest.fixture
def url(postgres):
    """A database with nothing in it."""
    return postgres.new_database()


def everything(url) -> list[object]:
    """What a history holds."""
    database = open_to_read(location(url))
    runs = read_runs(database, last=1000)
    found = [*runs, *read_readings(database, runs)]
    database.close()
    return found


def execute(url, statement) -> None:
    """Change the database behind our back."""
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text(statement))
    engine.dispose()


def test_what_is_appended_is_read(url) -> None:
    """Every field comes back as from a file, and what nobody knows stays unknown."""
    database = open_to_write(location(url))
    assert append_run(database, RUN, ENVIRONMENT, [READING, BARE]) == 1
    later = run_at(1, commit=Commit(), ended="2026-12-01T00:00:00Z")
    assert append_run(database, later, ENVIRONMENT, [READING]) == 2
    assert read_tests(database) == [(BARE.nodeid, 2), (READING.nodeid, 1)]
    database.close()
    runs = [RUN, replace(later, number=2)]
    readings = [BARE, READING, replace(READING, run=2)]
    assert everything(url) == [*runs, *readings]


def test_branches_and_latest_runs(url) -> None:
    """The same questions find the same runs as in a file."""
    fill(url, {"a": [1, 2, 3], "b": [4, 5, 6]})
    database = open_to_read(location(url))
    assert [run.number for run in read_runs(database, last=2, branch="main")] == [2, 3]
    assert read_runs(database, last=2, branch="other") == []
    number = dict(read_tests(database))["b"]
    found = read_readings(database, read_runs(database, last=2), [number])
    assert [(each.nodeid, each.run) for each in found] == [("b", 2), ("b", 3)]
    database.close()


def test_an_append_that_fails_leaves_nothing(url) -> None:
    """Two readings of one test are refused, and the run with them."""
    fill(url, {"a": [1]})
    before = everything(url)
    database = open_to_write(location(url))
    with pytest.raises(StoreError, match="duplicate key value"):
        append_run(database, RUN, ENVIRONMENT, [READING, READING])
    assert append_run(database, run_at(2), ENVIRONMENT, [reading(2, 1, "a")]) == 2
    database.close()
    assert everything(url)[:1] == before[:1]


def test_an_older_schema_is_brought_up_to_date(url, monkeypatch) -> None:
    """A column more is added to what is there; a newer schema is refused afterwards."""
    fill(url, {"a": [1, 2]})
    stored = everything(url)
    added = ("ALTER TABLE memguard_readings ADD COLUMN allocations BIGINT",)
    with monkeypatch.context() as later:
        later.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, added))
        database = open_to_read(location(url))
        assert database.rows("SELECT DISTINCT allocations FROM memguard_readings") == [(None,)]
        database.close()
        assert stored == everything(url)
    with pytest.raises(StoreError, match="has schema 3, this version knows schemas up to 2"):
        check_location(location(url))


def test_a_migration_that_fails_changes_nothing(url, monkeypatch) -> None:
    """The tables are as they were."""
    fill(url, {"a": [1]})
    broken = ("CREATE TABLE memguard_more (x INTEGER)", "ALTER TABLE nothing ADD COLUMN x INT")
    with monkeypatch.context() as later:
        later.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, broken))
        with pytest.raises(StoreError, match="nothing"):
            open_to_read(location(url))
    database = open_to_read(location(url))
    assert schema.schema_number(database) == len(schema.MIGRATIONS)
    assert "memguard_more" not in database.tables()
    database.close()


def test_other_tables_are_left_alone(url) -> None:
    """A database with tables of somebody else's is as good as an empty one."""
    execute(url, "CREATE TABLE visits (url TEXT)")
    check_location(location(url))
    fill(url, {"a": [1]})
    assert len(everything(url)) == 2


def test_a_database_without_runs_is_told(url) -> None:
    """There is nothing to read, and nothing is made."""
    with pytest.raises(StoreError, match="has no runs: pytest --mem-history appends them"):
        open_to_read(location(url))


def test_a_run_that_writes_for_too_long_is_told(url) -> None:
    """Whoever waits for another writer for too long says so, and changes nothing."""
    fill(url, {"a": [1]})
    writer, other = open_to_write(location(url)), Server(url, patience=0.05)
    with writer.write():
        with pytest.raises(StoreError, match="lock timeout"):
            append_run(other, RUN, ENVIRONMENT, [READING])
        assert len(everything(url)) == 2
    assert append_run(other, RUN, ENVIRONMENT, [READING]) == 2
    writer.close()
    other.close()


APPEND = """
    import sys
    from tests.support.history_values import ENVIRONMENT, location, reading, run_at
    from pytest_memguard.storage.appended_runs import append_run
    from pytest_memguard.storage.history_location import open_to_write

    sys.stdin.readline()
    database = open_to_write(location(sys.argv[1]))
    for number in range(1, 11):
        readings = [reading(0, 1, f"t.py::test[{n}]") for n in range(50)]
        append_run(database, run_at(number), ENVIRONMENT, readings)
    database.close()
"""


@pytest.mark.parametrize("kind", ["file", "server"])
def test_two_runs_at_once(tmp_path, request, kind) -> None:
    """Runs that end at the same time are all stored whole, from the first table on."""
    file = kind == "file"
    url = str(tmp_path / "h.db") if file else request.getfixturevalue("postgres").new_database()
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", dedent(APPEND), url], stdin=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate()
    assert [writer.returncode for writer in writers] == [0, 0]
    found = everything(url)
    assert sorted(each.number for each in found[:20]) == list(range(1, 21))
    assert len(found) == 20 + 20 * 50


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_of_pytest(run, url, workers) -> None:
    """A run is appended to the server, in one process or in two."""
    flags = ["-n", workers] if workers else []
    result = run(SUITE, f"--mem-history={url}", *flags, plugins=["xdist.plugin"])
    result.stdout.fnmatch_lines(["run 1 of the history, 3 tests, *: postgresql+psycopg://*"])
    first, *readings = everything(url)
    assert (first.tests, first.status) == (3, 1)
    assert [each.outcome for each in readings] == ["passed", "failed", "passed"]
    assert readings[2].peak > 15 << 20


def test_the_config_file_may_have_the_url(run, url, pytester) -> None:
    """A URL is as good in the config file as on the command line."""
    pytester.makeini(f"[pytest]\nmem_history = {url}")
    run(SUITE)
    assert len(everything(url)) == 4


def test_passwords_are_not_shown(run, postgres, url, pytester) -> None:
    """A password opens the door and stands in no output; a wrong one neither."""
    from urllib.parse import quote

    execute(url, "DROP ROLE IF EXISTS team")
    password = PASSWORD.replace("'", "''")
    execute(url, f"CREATE ROLE team LOGIN SUPERUSER PASSWORD '{password}'")
    name = url.rpartition("/")[0] and url.split("@/")[1].split("?")[0]
    for given, status in ((PASSWORD, 0), (f"{PASSWORD}x", 4)):
        secret = postgres.url(name, f"team:{quote(given, safe='')}")
        source = "def test(): pass"
        result = run(source, f"--mem-history={secret}", "--mem-json=m.json")
        shown = result.stdout.str() + result.stderr.str()
        shown += (pytester.path / "m.json").read_text()
        assert status == result.ret
        assert "geheim" not in shown
        assert "postgresql+psycopg://team:***@/history_" in shown
    assert "password authentication failed" in result.stderr.str()


def test_a_server_that_goes_away_is_told(run, url) -> None:
    """A connection lost during the tests turns the run red, with one line."""
    source = f"""
        import sqlalchemy

        def test():
            engine = sqlalchemy.create_engine({url!r})
            with engine.begin() as connection:
                connection.execute(sqlalchemy.text("CREATE TABLE memguard_schema (x INT)"))
            engine.dispose()
    """
    result = run(source, f"--mem-history={url}")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["the run could not be appended to the history: postgresql*"])


def test_memguard_history_reads_a_server(url, capsys) -> None:
    """The command shows what a server holds, as it shows a file."""
    fill(url, {"t.py::test": [20.0] * 6 + [30.0] * 6})
    assert main(["history", "--file", url]) == 0
    assert "+50%" in capsys.readouterr().out
    assert main(["history", "--file", url, "test"]) == 0
    assert "Level rose by 10.0 MiB (+50%), from 20.0 to 30.0 MiB" in capsys.readouterr().out
