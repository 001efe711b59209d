"""``memguard suggest``: budgets from what tests have used."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from pytest_memguard.cli.common import (
    Answer,
    Commands,
    add_command,
    faults_of_file,
    read_numbers,
)
from pytest_memguard.errors import ConfigError
from pytest_memguard.judge.suggestions import far_above, suggestions
from pytest_memguard.model.baselines import Baseline
from pytest_memguard.model.metrics import RSS
from pytest_memguard.model.past_runs import HistoryLocation
from pytest_memguard.model.results import Run
from pytest_memguard.model.suggested import Use
from pytest_memguard.report.rows import rows_of_run
from pytest_memguard.report.suggestions import (
    budget_line,
    far_above_lines,
    hidden_lines,
    suggestion_table,
)
from pytest_memguard.storage.config_files import config_file, with_budgets
from pytest_memguard.storage.files import write_whole
from pytest_memguard.storage.history_location import is_history, open_to_read
from pytest_memguard.storage.stored_runs import read_readings, read_runs
from pytest_memguard.units import parse_share

_EXAMPLES: Final = """\
  pytest --mem-json memory.json     measure every test
  memguard suggest memory.json      print budgets for them
  memguard suggest memory.json --write ini --diff
  memguard suggest memory.json --write markers --diff
  memguard suggest .memguard/baseline.json --margin 50% --write ini
  memguard suggest .memguard/history.sqlite3
"""
_RUNS: Final = 20
"""Runs of a history that count, the latest."""
_COUNT: Final = frozenset({"passed", "xpassed"})


def declare(commands: Commands) -> None:
    """Add the command."""
    help_line = "suggest budgets from what tests have used"
    parser = add_command(commands, "suggest", help_line, _EXAMPLES, suggest)
    parser.add_argument(
        "file",
        metavar="FILE_OR_URL",
        help="what pytest --mem-json, --mem-save or --mem-history wrote",
    )
    parser.add_argument(
        "--margin",
        type=_margin,
        default=0.3,
        metavar="SHARE",
        help="how far budgets are above peaks (default: 30%%)",
    )
    parser.add_argument(
        "--write",
        choices=["ini", "markers"],
        help="put them into pytest's config file as mem_budgets, in place of those there; or "
        "into the tests as markers: tests that need more than most, and those that have one",
    )
    parser.add_argument(
        "--diff", action="store_true", help="with --write, print the change and make none"
    )


def suggest(options: argparse.Namespace) -> Answer:
    """Print budgets, or write them."""
    if options.diff and not options.write:
        msg = "--diff does nothing without --write"
        raise ConfigError(msg)
    with faults_of_file(options.file):
        uses = _highest(_uses(options.file))
    found = suggestions(uses, options.margin)
    if not found:
        msg = f"{options.file} has no test whose resident memory was measured"
        raise ConfigError(msg)
    lines = [budget_line(suggestion) for suggestion in found]
    if options.write == "markers":
        from pytest_memguard.cli.suggest_markers import write_markers

        return write_markers(found[0], uses, options.margin, diff=options.diff), 0
    if options.write:
        return _write(lines, diff=options.diff), 0
    parts = [suggestion_table(found), "", "[pytest]", "mem_budgets ="]
    parts += [f"    {line}" for line in lines]
    far = far_above_lines(far_above(uses, options.margin))
    for more in (hidden_lines(uses), far):
        parts += ["", *more] if more else []
    return parts, 0


def _write(lines: list[str], *, diff: bool) -> list[str]:
    path, section, before = config_file(Path())
    after = with_budgets(before, section, lines)
    if diff:
        changes = difflib.unified_diff(
            before.splitlines(), after.splitlines(), str(path), str(path), lineterm=""
        )
        return list(changes) or [f"{path} has these budgets"]
    try:
        write_whole(path, after)
    except OSError as error:
        msg = f"{path} could not be written: {error.strerror or error}"
        raise ConfigError(msg) from error
    count = "1 budget" if len(lines) == 1 else f"{len(lines):,} budgets"
    return [f"{count}: {path}"]


def _uses(name: str) -> Iterator[Use]:
    """What each test has used at most, by any file that has it."""
    if is_history(name):
        return _of_history(name)
    numbers = read_numbers(name)
    return _of_baseline(numbers) if isinstance(numbers, Baseline) else _of_run(numbers)


def _highest(uses: Iterable[Use]) -> list[Use]:
    """What each test has used at most in any run or environment."""
    highest: dict[str, Use] = {}
    for use in uses:
        known = highest.get(use.nodeid)
        if known is None or known.high < use.high:
            highest[use.nodeid] = use
    return list(highest.values())


def _of_run(run: Run) -> Iterator[Use]:
    for row in rows_of_run(run):
        # a test that failed otherwise may have used more, had it gone on
        if row.metric == RSS.name and (row.result in _COUNT or row.findings):
            high = row.upper_bound_bytes
            hidden = high - row.peak_bytes
            yield Use(nodeid=row.test, high=high, hidden=hidden, budget=row.budget_bytes)


def _of_baseline(baseline: Baseline) -> Iterator[Use]:
    for environment, tests in baseline.environments.items():
        for nodeid, entry in tests.items() if environment.metric == RSS.name else ():
            yield Use(nodeid=nodeid, high=max(entry.peak, entry.ceiling, entry.cold))


def _of_history(name: str) -> Iterator[Use]:
    database = open_to_read(HistoryLocation(text=name))
    try:
        for reading in read_readings(database, read_runs(database, last=_RUNS)):
            high = max(reading.peak or 0, reading.ceiling or 0)
            counts = reading.outcome in _COUNT or reading.finding
            if counts and reading.metric == RSS.name and reading.peak is not None:
                yield Use(nodeid=reading.nodeid, high=high)
    finally:
        database.close()


def _margin(text: str) -> float:
    try:
        share = parse_share(text, of="a peak")
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return share or 0.0
