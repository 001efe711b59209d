"""What the subcommands share: parsers with examples, and files read with a clear word."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from pytest_memguard.errors import ConfigError
from pytest_memguard.model import Run
from pytest_memguard.wire import run_from_json

Answer: TypeAlias = tuple[list[str], int]
"""Lines to print, and the exit status."""
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001  it has no other name


def add_command(
    commands: Commands,
    name: str,
    help: str,  # noqa: A002  argparse's word
    examples: str,
    run: Callable[[argparse.Namespace], Answer],
) -> argparse.ArgumentParser:
    """Add a subcommand.

    Args:
        commands: where.
        name: of the command.
        help: one line.
        examples: lines of shell, shown below its options.
        run: does it.
    """
    parser = commands.add_parser(
        name,
        help=help,
        description=f"{help[0].upper()}{help[1:]}.",
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def read_json(name: str) -> object:
    """What a JSON file holds.

    Raises:
        ConfigError: if it cannot be read.
    """
    try:
        return json.loads(Path(name).read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"{name} cannot be read: {error.strerror}"
        raise ConfigError(msg) from error
    except ValueError as error:
        msg = f"{name} is not a JSON file: {error}"
        raise ConfigError(msg) from error


def read_run(name: str) -> Run:
    """A run from the file that ``--mem-json`` wrote.

    Raises:
        ConfigError: if it is none.
    """
    return run_from_json(read_json(name), name)
