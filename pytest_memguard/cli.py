"""The ``memguard`` command: looks at files that ``pytest --mem-json`` wrote."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from pytest_memguard.errors import ConfigError
from pytest_memguard.report.leaks import leaks_section
from pytest_memguard.report.summary import memory_section, notes
from pytest_memguard.wire import run_from_json

_EXAMPLES = """\
examples:
  pytest --mem-json memory.json     write the numbers of a run
  memguard report memory.json       print them again, the largest peaks first
  memguard report memory.json --top 50
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: the command line's, without the program's name.

    Returns:
        The exit status: 0 fine, 2 bad input.
    """
    options = _parser().parse_args(arguments)
    try:
        run = run_from_json(_load(options.file), options.file)
        lines = [memory_section(run, options.top), *notes(run.outcomes, with_failures=True)]
        leaks = leaks_section(run.outcomes, {})
        if leaks:
            lines += ["", "Leaks:", *leaks]
    except (TypeError, ValueError, ArithmeticError, KeyError, RecursionError) as error:
        print(f"memguard: {error}", file=sys.stderr)
        return 2
    try:
        print("\n".join(lines), flush=True)
    except BrokenPipeError:  # as with "| head"; what is left must not fail at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="memguard",
        description="Look at the memory numbers of a test run.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version", action="version", version=f"memguard {version('pytest-memguard')}"
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    report = commands.add_parser("report", help="print the memory section of a stored run")
    report.add_argument("file", metavar="FILE", help="what pytest --mem-json wrote")
    report.add_argument(
        "--top", type=_count, default=10, metavar="N", help="tests to show (default: 10)"
    )
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        msg = f"{text!r} is not a number of tests: write a whole number from 1"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def _load(name: str) -> object:
    try:
        return json.loads(Path(name).read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"{name} cannot be read: {error.strerror}"
        raise ConfigError(msg) from error
    except ValueError as error:
        msg = f"{name} is not a JSON file: {error}"
        raise ConfigError(msg) from error
