"""Reads runs and readings back from the history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from pytest_memguard.formats import present_state
from pytest_memguard.model.past_runs import Commit, PastReading, PastRun
from pytest_memguard.storage.database import Database, SqlRow

_T = TypeVar("_T")
_AT_ONCE = 500  # values in one statement; older versions of SQLite take up to 999


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
