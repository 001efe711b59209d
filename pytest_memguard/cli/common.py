"""What the subcommands share: parsers with examples, and files read with clear errors."""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

from pytest_memguard.codecs.run_codec import run_from_json
from pytest_memguard.errors import ConfigError
from pytest_memguard.model.baselines import Baseline
from pytest_memguard.model.results import Run
from pytest_memguard.storage.baseline import is_baseline, read_baseline
from pytest_memguard.storage.files import read_text
from pytest_memguard.units import parse_count, parse_size

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
        commands: the subcommands so far.
        name: the name of the command.
        help: one line.
        examples: shell lines, shown below its options.
        run: executes the command.
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
    """Return the content of a JSON file.

    Raises:
        ConfigError: if it cannot be read.
    """
    try:
        return json.loads(read_text(Path(name)))
    except OSError as error:
        msg = f"{name} cannot be read: {error.strerror}"
        raise ConfigError(msg) from error
    except (ValueError, RecursionError) as error:
        msg = f"{name} is not a JSON file: {error}"
        raise ConfigError(msg) from error


def read_numbers(name: str) -> Run | Baseline:
    """Return a run from the file that ``--mem-json`` wrote, or a baseline from ``--mem-save``.

    Raises:
        ConfigError: if it is neither.
    """
    data: object = None
    with contextlib.suppress(ConfigError):
        data = read_json(name)
    if is_baseline(data) or (data is None and _begins_like_a_baseline(name)):
        baseline = read_baseline(Path(name))
        return baseline if baseline is not None else Baseline()
    return read_run(name)


def _begins_like_a_baseline(name: str) -> bool:
    """Return whether a broken file was a baseline: its parser says on which line it broke."""
    try:
        return '"environments"' in read_text(Path(name))[:200]
    except (OSError, UnicodeDecodeError):
        return False


@contextlib.contextmanager
def faults_of_file(name: str) -> Iterator[None]:
    """Report errors inside the context as faults of a file, which was edited by hand.

    Args:
        name: the name of the file.

    Raises:
        ConfigError: naming the file and the error.
    """
    try:
        yield
    except ConfigError:
        raise
    except (TypeError, ValueError, AttributeError, ArithmeticError, LookupError) as error:
        msg = f"{name} has a value that makes no sense ({type(error).__name__}: {error})"
        raise ConfigError(msg) from error


def size_of(text: str) -> int:
    """Parse an argument that is a size.

    Raises:
        argparse.ArgumentTypeError: if it is not a size.
    """
    try:
        return parse_size(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def count_of(what: str) -> Callable[[str], int]:
    """Return a parser of arguments that are a number of things.

    Args:
        what: the things that are counted.
    """

    def parse(text: str) -> int:
        try:
            return parse_count(text, what)
        except ConfigError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parse


def read_run(name: str) -> Run:
    """Return a run from the file that ``--mem-json`` wrote.

    Raises:
        ConfigError: if it is not a run.
    """
    return run_from_json(read_json(name), name)
