"""Values of the history to test with, and a history with some runs in it."""

from __future__ import annotations

from pathlib import Path

from pytest_memguard.model.past_runs import Commit, HistoryLocation, PastReading, PastRun
from pytest_memguard.model.results import Environment
from pytest_memguard.sizes import MIB
from pytest_memguard.storage.appended_runs import append_run
from pytest_memguard.storage.history_location import open_to_write

ENVIRONMENT = Environment(
    python="3.12.1",
    implementation="CPython",
    platform="Linux x86_64",
    pytest="9.2.0",
    memguard="0.1.0",
    allocator="pymalloc",
)
PLACE = "Linux x86_64, CPython 3.12"
RUN = PastRun(
    number=1,
    ended="2026-11-21T13:25:26Z",
    commit=Commit(name="a" * 40, branch="main", dirty=False),
    environment=PLACE,
    status=1,
    aborted="",
    tests=2,
)
READING = PastReading(
    run=1,
    nodeid="tests/test_a.py::test_load[ü]",
    outcome="failed",
    finding="over-budget",
    metric="rss",
    peak=5_000_000_000,
    ceiling=5_000_000_001,
    growth=-3,
    imports=2,
    leak="leaking",
    seconds=1.25,
    worker="gw1",
    death="crashed (SIGSEGV)",
    children=6_000_000_000,
    need=7_000_000_000,
    waited=0.5,
)
BARE = PastReading(run=1, nodeid="tests/test_a.py::test_bare", outcome="skipped")


def name_of(number: int) -> str:
    """The hash of a commit, by its number."""
    return f"{number:07x}" + "0" * 33


def run_at(number: int, **changes: object) -> PastRun:
    """A run of a commit of its own, an hour after the one before."""
    day, hour = divmod(number, 24)
    values: dict[str, object] = {
        "number": number,
        "ended": f"2026-11-{day + 1:02}T{hour:02}:00:00Z",
        "commit": Commit(name=name_of(number), branch="main", dirty=False),
        "environment": PLACE,
        "status": 0,
        "aborted": "",
        "tests": 1,
    }
    return PastRun(**{**values, **changes})


def reading(run: int, mib: float | None, nodeid: str = "t.py::test", **changes) -> PastReading:
    """A reading of a peak in MiB, of a test that passed."""
    size = None if mib is None else int(mib * MIB)
    values = {"outcome": "passed", "peak": size, "ceiling": size, "growth": 0, "seconds": 0.5}
    return PastReading(run=run, nodeid=nodeid, **{**values, **changes})


def location(path: Path | str) -> HistoryLocation:
    """A file, or a URL."""
    return HistoryLocation(text=str(path))


def fill(path: Path | str, series: dict[str, list[float]], first: int = 1) -> None:
    """Append a run for each value of the tests' series, in MiB."""
    database = open_to_write(location(path))
    for at in range(len(next(iter(series.values())))):
        readings = [reading(0, values[at], nodeid) for nodeid, values in series.items()]
        run = run_at(first + at, tests=len(readings))
        append_run(database, run, ENVIRONMENT, readings)
    database.close()
