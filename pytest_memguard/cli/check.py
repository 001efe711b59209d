"""``memguard check``: whether there is enough free memory, for hooks before and after a job."""

from __future__ import annotations

import argparse
from typing import Final

from pytest_memguard.cli.common import Answer, Commands, add_command, size_of
from pytest_memguard.errors import ConfigError
from pytest_memguard.sizes import format_size
from pytest_memguard.units import MOST, is_whole

_EXAMPLES: Final = """\
  memguard check --free 2GB                 before a job: is there memory for it?
  memguard check --max-rss 6GB 4711         does a process, its children included, use less?
  memguard check --free 2GB --max-rss 6GB 4711

status: 0 yes, 1 no, 2 bad input"""


def declare(commands: Commands) -> None:
    """Add the command."""
    help_line = "check that there is memory for a job, or that a process does not use too much"
    parser = add_command(commands, "check", help_line, _EXAMPLES, check)
    parser.add_argument(
        "--free", type=size_of, metavar="SIZE", help="least memory that must be free"
    )
    parser.add_argument(
        "--max-rss", type=size_of, metavar="SIZE", help="most that the process may use"
    )
    parser.add_argument("pid", nargs="?", type=pid_of, metavar="PID", help="the process")


def pid_of(text: str) -> int:
    """Parse an argument that is the number of a process.

    Raises:
        argparse.ArgumentTypeError: if it is not.
    """
    if not is_whole(text) or not 0 < int(text[:12]) <= MOST:
        msg = f"{text!r:.60} is not the number of a process"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def check(options: argparse.Namespace) -> Answer:
    """Print one line; the status is 1 if a limit is not kept."""
    if options.free is None and options.max_rss is None:
        msg = "nothing to check: name --free or --max-rss"
        raise ConfigError(msg)
    if (options.max_rss is None) != (options.pid is None):
        msg = "--max-rss needs the number of a process, and the number needs --max-rss"
        raise ConfigError(msg)
    found = []
    if options.free is not None:
        found.append(_free(options.free))
    if options.max_rss is not None:
        found.append(_used(options.pid, options.max_rss))
    return ["; ".join(text for _, text in found)], int(not all(fine for fine, _ in found))


def _free(least: int) -> tuple[bool, str]:
    from pytest_memguard.probes.free_memory import free_memory

    free = free_memory()
    fine = free.size >= least
    word = "enough" if fine else "too little"
    sizes = (
        f"{format_size(free.size)} of {free.source} are free, {format_size(least)} asked for"
    )
    return fine, f"{word}: {sizes}"


def _used(pid: int, most: int) -> tuple[bool, str]:
    from pytest_memguard.errors import Unmeasurable
    from pytest_memguard.probes.watched_process import check_watchable
    from pytest_memguard.probes.watched_tree import WatchedTree

    try:
        check_watchable(pid)
        tree = WatchedTree(pid)
        try:
            levels = tree.read(exactly=True)
        finally:
            tree.close()
    except (Unmeasurable, OSError) as error:
        reason = str(error) if isinstance(error, Unmeasurable) else f"process {pid} has ended"
        raise ConfigError(reason) from error
    used = levels.rss or 0
    fine = used <= most
    word = "fine" if fine else "too much"
    with_children = f", {levels.children} children included" if levels.children else ""
    sizes = f"process {pid} uses {format_size(used)}{with_children}"
    return fine, f"{word}: {sizes}, {format_size(most)} allowed"
