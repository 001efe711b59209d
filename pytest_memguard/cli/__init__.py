"""The ``memguard`` command, which works on the files that runs leave behind."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Final

from pytest_memguard.escapes import one_line

_COMMANDS: Final = (
    *("compare", "merge", "report", "export", "suggest", "log", "history", "postmortem"),
    *("watch", "heapdiff", "check"),
)
"""Modules of this package, in the order of ``--help``.

Each has ``declare(commands)``, which adds its parser and sets ``run`` on it: a function that
takes the options and returns the lines to print and the exit status.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: the command line without the program's name.

    Returns:
        The exit status: 0 if all is fine, 1 if the command found what it looks for, 2 for bad
        input.
    """
    options = _parser().parse_args(arguments)
    try:
        lines, status = options.run(options)
    except (OSError, TypeError, ValueError, ArithmeticError, KeyError, RecursionError) as error:
        print(one_line(f"memguard: {error}"), file=sys.stderr)
        return 2
    encoding = sys.stdout.encoding or "utf-8"
    text = "\n".join(lines).encode(encoding, "backslashreplace").decode(encoding)
    try:
        print(text, flush=True)
    except BrokenPipeError:  # as with "| head": the buffer must not fail at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return int(status)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="memguard",
        description="Look at the memory numbers of test runs, and watch programs.",
        epilog="Every command has examples: memguard COMMAND --help",
    )
    parser.add_argument(
        "--version", action="version", version=f"memguard {version('pytest-memguard')}"
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name in _COMMANDS:
        import_module(f"{__name__}.{name}").declare(commands)
    return parser
