"""Appends runs to the history, and reads runs and readings back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from itertools import islice
from typing import TypeVar

from pytest_memguard.escapes import storable
from pytest_memguard.formats import present_state
from pytest_memguard.model import Environment
from pytest_memguard.past_runs import Commit, PastReading, PastRun
from pytest_memguard.storage.database import Database, SqlRow, SqlValues
from pytest_memguard.storage.schema import bring_up_to_date

_T = TypeVar("_T")
_AT_ONCE = 500  # values in one statement; older versions of SQLite take up to 999


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
    for some in _batches(readings, _AT_ONCE // 2):
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


def read_tests(database: Database) -> list[tuple[str, int]]:
    """Return every test in the history, node id and number, by node id."""
    found = database.rows("SELECT nodeid, id FROM memguard_tests")
    return sorted((nodeid, number) for nodeid, number in found)


def read_runs(database: Database, *, last: int, branch: str = "") -> list[PastRun]:
    """Return the latest runs, the oldest of them first.

    Args:
        database: the history; it is not changed.
        last: the number of runs.
        branch: the branch of the runs; all if empty.

    Raises:
        StoreError: if it cannot be read.
    """
    values: dict[str, object] = {"last": last}
    statement = _RUNS
    if branch:
        statement += " WHERE r.branch = :branch"
        values["branch"] = branch
    found = database.rows(f"{statement} ORDER BY r.ended DESC, r.id DESC LIMIT :last", values)
    return [_run(row) for row in reversed(found)]


_RUNS = (
    "SELECT r.id, r.ended, r.commit_id, r.branch, r.dirty, e.platform, e.implementation,"
    " e.python, r.exit_status, r.aborted, r.tests FROM memguard_runs r"
    " JOIN memguard_environments e ON e.id = r.environment_id"
)


def _run(row: SqlRow) -> PastRun:
    number, ended, commit, branch, dirty, platform, implementation, python = row[:8]
    minor = ".".join(python.split(".")[:2])
    return PastRun(
        number=number,
        ended=ended,
        commit=Commit(name=commit, branch=branch, dirty=None if dirty is None else bool(dirty)),
        environment=f"{platform}, {implementation} {minor}",
        status=row[8],
        aborted=row[9],
        tests=row[10],
    )


def read_changing(
    database: Database, runs: Sequence[PastRun], *, share: float, floor: int
) -> list[int]:
    """Return the numbers of tests whose peaks differ enough for a step.

    Most tests are flat, and the database excludes them much faster than Python could.

    Args:
        database: the history; it is not changed.
        runs: the runs, as `read_runs` returns them.
        share: least ratio of the difference to the smallest peak.
        floor: least difference, in bytes.
    """
    if not runs:
        return []
    found = database.rows(
        f"SELECT test_id FROM memguard_readings"  # noqa: S608  numbers of our own
        f" WHERE run_id IN ({_list([run.number for run in runs])}) GROUP BY test_id"
        " HAVING MAX(peak_bytes) - MIN(peak_bytes) >= :floor"
        " AND MAX(peak_bytes) - MIN(peak_bytes) >= :share * MIN(peak_bytes)"
        " ORDER BY test_id",
        {"floor": floor, "share": share},
    )
    return [number for (number,) in found]


def read_readings(
    database: Database, runs: Sequence[PastRun], tests: Sequence[int] | None = None
) -> list[PastReading]:
    """Return readings by test, those of a test in the order of the runs.

    Args:
        database: the history; it is not changed.
        runs: the runs, as `read_runs` returns them.
        tests: numbers of tests, as `read_tests` returns them; ``None`` for all tests.
    """
    if not runs:
        return []
    order = {run.number: at for at, run in enumerate(runs)}
    found: list[PastReading] = []
    for numbers in [None] if tests is None else _slices(tests, _AT_ONCE):
        for some in _slices([run.number for run in runs], _AT_ONCE // 2):
            where = f"g.run_id IN ({_list(some)})"
            if numbers is not None:
                where += f" AND g.test_id IN ({_list(numbers)})"
            found += [_reading(row) for row in database.rows(_READINGS + where)]
    return sorted(found, key=lambda reading: (reading.nodeid, order[reading.run]))


_READINGS = (
    "SELECT g.run_id, t.nodeid, g.outcome, g.finding, g.metric, g.peak_bytes,"
    " g.ceiling_bytes, g.growth_bytes, g.imports, g.leak, g.seconds, g.worker, g.death,"
    " g.children_bytes, g.need_bytes, g.waited_seconds"
    " FROM memguard_readings g JOIN memguard_tests t ON t.id = g.test_id WHERE "
)


def _list(numbers: Sequence[int]) -> str:
    return ", ".join(str(int(number)) for number in numbers)


def _slices(values: Sequence[_T], size: int) -> list[Sequence[_T]]:
    return [values[at : at + size] for at in range(0, len(values), size)]


def _batches(values: Iterable[_T], size: int) -> Iterator[list[_T]]:
    left = iter(values)
    while some := list(islice(left, size)):
        yield some


def _reading(row: SqlRow) -> PastReading:
    return PastReading(
        run=row[0],
        nodeid=row[1],
        outcome=row[2],
        finding=row[3],
        metric=row[4],
        peak=row[5],
        ceiling=row[6],
        growth=row[7],
        imports=row[8],
        leak=present_state(row[9]),
        seconds=row[10],
        worker=row[11],
        death=row[12],
        children=row[13],
        need=row[14],
        waited=row[15],
    )
