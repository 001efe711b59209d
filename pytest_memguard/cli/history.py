"""``memguard history``: shows tests over runs and commits."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pytest_memguard.cli.common import Answer, Commands, add_command, count_of
from pytest_memguard.errors import ConfigError
from pytest_memguard.judge.trends import trends
from pytest_memguard.model.past_runs import (
    STEP_FLOOR_BYTES,
    STEP_SHARE,
    HistoryLocation,
    PastRun,
)
from pytest_memguard.report.trend_tables import ASCII, BLOCKS, many, overview, trend_section
from pytest_memguard.storage.database import Database
from pytest_memguard.storage.history_location import FILE, open_to_read
from pytest_memguard.storage.stored_runs import (
    read_changing,
    read_readings,
    read_runs,
    read_tests,
)

_EXAMPLES = """\
  pytest --mem-history              append a run
  memguard history                  tests whose level stepped last, and the latest runs
  memguard history test_load        a table over commits for every test with that in its name
  memguard history 'tests/io/*::test_load[?]' --branch main --last 200
  memguard history --file postgresql+psycopg://ci@db.example.org/memory
"""
_AT_ONCE = 200  # tests that are read in one go: they need not all fit into memory


def declare(commands: Commands) -> None:
    """Add the command."""
    help_line = "show peaks over commits, and where their level stepped"
    parser = add_command(commands, "history", help_line, _EXAMPLES, history)
    parser.add_argument(
        "test",
        nargs="?",
        metavar="NODEID",
        help="a test: its node id, a part of it, or a pattern with * and ?",
    )
    parser.add_argument(
        "--file",
        default=FILE,
        metavar="FILE_OR_URL",
        help=f"what pytest --mem-history wrote to (default: {FILE})",
    )
    parser.add_argument(
        "--last", type=count_of("runs"), default=50, metavar="N", help="runs (default: 50)"
    )
    parser.add_argument("--branch", default="", metavar="B", help="only runs of this branch")
    parser.add_argument(
        "--top",
        type=count_of("rows"),
        default=10,
        metavar="N",
        help="rows or tests (default: 10)",
    )


def history(options: argparse.Namespace) -> Answer:
    """Print the history of tests, or an overview."""
    location = HistoryLocation(text=options.file)
    with _opened(location) as database:
        runs = read_runs(database, last=options.last, branch=options.branch)
        if not runs:
            msg = f"{location} has no run of the branch {options.branch!r}"
            raise ConfigError(msg)
        if options.test is None:
            return _overview(database, runs, options.top), 0
        tests = read_tests(database)
        found = matching([nodeid for nodeid, _ in tests], options.test)
        if not found:
            msg = f"{location} has no test that is, matches or contains {options.test!r}"
            raise ConfigError(msg)
        numbers = dict(tests)
        shown = [numbers[nodeid] for nodeid in found[: options.top]]
        readings = read_readings(database, runs, shown)
    signs = BLOCKS if can_print(BLOCKS, sys.stdout.encoding) else ASCII
    sections = [trend_section(trend, signs) for trend in trends(runs, readings)]
    lines = [line for section in sections for line in [*section, ""]][:-1]
    if not sections:
        lines = [f"No reading of {options.test!r} in {many(len(runs), 'run')}."]
    if len(found) > options.top:
        lines += ["", f"({len(found) - options.top:,} more tests match; --top N shows more)"]
    return lines, 0


@contextmanager
def _opened(location: HistoryLocation) -> Iterator[Database]:
    database = open_to_read(location)
    try:
        yield database
    finally:
        database.close()


def _overview(database: Database, runs: Sequence[PastRun], top: int) -> list[str]:
    tests = read_changing(database, runs, share=STEP_SHARE, floor=STEP_FLOOR_BYTES)
    stepped = []
    for at in range(0, len(tests), _AT_ONCE):
        readings = read_readings(database, runs, tests[at : at + _AT_ONCE])
        stepped += [trend for trend in trends(runs, readings) if trend.steps]
    return overview(runs, stepped, top)


def matching(nodeids: Sequence[str], wanted: str) -> list[str]:
    """Return the tests with this name, or otherwise those that match or contain it.

    Brackets stand for themselves, because node ids are full of them.
    """
    if wanted in nodeids:
        return [wanted]
    if not re.search(r"[*?]", wanted):
        return [nodeid for nodeid in nodeids if wanted in nodeid]
    parts = {"*": ".*", "?": "."}
    pattern = re.compile(
        "".join(parts.get(sign, re.escape(sign)) for sign in wanted), re.DOTALL
    )
    return [nodeid for nodeid in nodeids if pattern.fullmatch(nodeid)]


def can_print(text: str, encoding: str | None) -> bool:
    """Return whether an output can encode a text."""
    try:
        text.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
