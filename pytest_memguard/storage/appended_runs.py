"""Appends runs to the history."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from itertools import islice

from pytest_memguard.escapes import storable
from pytest_memguard.model.past_runs import PastReading, PastRun
from pytest_memguard.model.results import Environment
from pytest_memguard.storage.database import Database, SqlValues
from pytest_memguard.storage.schema import bring_up_to_date

_AT_ONCE = 250  # readings in one statement; older versions of SQLite take up to 999 values


def append_run(
    database: Database,
    run: PastRun,
    environment: Environment,
    readings: Iterable[PastReading],
) -> int:
    """Append a run completely or not at all.

    Args:
        database: its tables are made or brought up to date.
        run: the run; its number is ignored.
        environment: the environment of the run.
        readings: one for each test; a batch of them at a time is in memory.

    Returns:
        The number that the run got.

    Raises:
        StoreError: if it could not be appended; the database is unchanged.
    """
    named = (replace(reading, nodeid=storable(reading.nodeid)) for reading in readings)
    with database.write():
        bring_up_to_date(database)
        number = _next(database, "memguard_runs")
        commit = run.commit
        database.run(
            "INSERT INTO memguard_runs (id, environment_id, ended, commit_id, branch, dirty,"
            " exit_status, aborted, tests) VALUES (:id, :environment, :ended, :commit,"
            " :branch, :dirty, :status, :aborted, :tests)",
            {
                "id": number,
                "environment": _environment(database, environment),
                "ended": run.ended,
                "commit": storable(commit.name),
                "branch": storable(commit.branch),
                "dirty": None if commit.dirty is None else int(commit.dirty),
                "status": run.status,
                "aborted": storable(run.aborted),
                "tests": run.tests,
            },
        )
        _append_readings(database, number, named)
    return number


def _next(database: Database, table: str) -> int:
    """Return the next number; the caller's transaction excludes other writers."""
    return int(database.rows(f"SELECT COALESCE(MAX(id), 0) + 1 FROM {table}")[0][0])  # noqa: S608  a name of ours


def _environment(database: Database, environment: Environment) -> int:
    values = asdict(environment)
    same = " AND ".join(f"{name} = :{name}" for name in values)
    found = database.rows(f"SELECT id FROM memguard_environments WHERE {same}", values)  # noqa: S608  our own fields
    if found:
        return int(found[0][0])
    number = _next(database, "memguard_environments")
    database.run(
        "INSERT INTO memguard_environments"
        " (id, platform, implementation, python, pytest, memguard, allocator) VALUES"
        " (:id, :platform, :implementation, :python, :pytest, :memguard, :allocator)",
        {"id": number, **values},
    )
    return number


def _append_readings(database: Database, number: int, readings: Iterable[PastReading]) -> None:
    following = _next(database, "memguard_tests")
    for some in _batches(readings, _AT_ONCE):
        known = _numbers_of(database, [reading.nodeid for reading in some])
        new = list(dict.fromkeys(r.nodeid for r in some if r.nodeid not in known))
        added = {nodeid: following + at for at, nodeid in enumerate(new)}
        following += len(added)
        if added:
            database.run(
                "INSERT INTO memguard_tests (id, nodeid) VALUES (:id, :nodeid)",
                [{"id": at, "nodeid": nodeid} for nodeid, at in added.items()],
            )
        known.update(added)
        database.run(
            "INSERT INTO memguard_readings (run_id, test_id, outcome, finding, metric,"
            " peak_bytes, ceiling_bytes, growth_bytes, imports, leak, seconds, worker, death,"
            " children_bytes, need_bytes, waited_seconds)"
            " VALUES (:run, :test, :outcome, :finding, :metric, :peak, :ceiling, :growth,"
            " :imports, :leak, :seconds, :worker, :death, :children, :need, :waited)",
            [_values(reading, number, known[reading.nodeid]) for reading in some],
        )


def _numbers_of(database: Database, nodeids: Sequence[str]) -> dict[str, int]:
    """Return the numbers of those tests that are in the history."""
    values = {f"n{at}": nodeid for at, nodeid in enumerate(nodeids)}
    names = ", ".join(f":{name}" for name in values)
    found = database.rows(
        f"SELECT nodeid, id FROM memguard_tests WHERE nodeid IN ({names})",  # noqa: S608  names of ours
        values,
    )
    return {nodeid: int(number) for nodeid, number in found}


def _values(reading: PastReading, number: int, test: int) -> SqlValues:
    return {
        "run": number,
        "test": test,
        "outcome": reading.outcome,
        "finding": reading.finding,
        "metric": reading.metric,
        "peak": reading.peak,
        "ceiling": reading.ceiling,
        "growth": reading.growth,
        "imports": reading.imports,
        "leak": reading.leak,
        "seconds": reading.seconds,
        "worker": reading.worker,
        "death": reading.death,
        "children": reading.children,
        "need": reading.need,
        "waited": reading.waited,
    }


def _batches(readings: Iterable[PastReading], size: int) -> Iterator[list[PastReading]]:
    left = iter(readings)
    while some := list(islice(left, size)):
        yield some
