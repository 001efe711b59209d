"""``memguard report``: prints the memory section of a stored run again."""

from __future__ import annotations

import argparse

from pytest_memguard.cli.common import Answer, Commands, add_command, read_run
from pytest_memguard.report.leaks import leaks_section
from pytest_memguard.report.summary import memory_section, notes

_EXAMPLES = """\
  pytest --mem-json memory.json     write the numbers of a run
  memguard report memory.json       print them again, the largest peaks first
  memguard report memory.json --top 50
"""


def declare(commands: Commands) -> None:
    """Add the command."""
    help_line = "print the memory section of a stored run"
    parser = add_command(commands, "report", help_line, _EXAMPLES, report)
    parser.add_argument("file", metavar="FILE", help="what pytest --mem-json wrote")
    parser.add_argument(
        "--top", type=_count, default=10, metavar="N", help="tests to show (default: 10)"
    )


def report(options: argparse.Namespace) -> Answer:
    """Print the section."""
    run = read_run(options.file)
    lines = [memory_section(run, options.top), *notes(run.outcomes, with_failures=True)]
    leaks = leaks_section(run.outcomes, {})
    if leaks:
        lines += ["", "Leaks:", *leaks]
    return lines, 0


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        msg = f"{text!r} is not a number of tests: write a whole number from 1"
        raise argparse.ArgumentTypeError(msg)
    return int(text)
