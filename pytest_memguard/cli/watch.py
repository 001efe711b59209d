"""``memguard watch``: watches a program, and says whether it grows under load."""

from __future__ import annotations

import argparse
import contextlib
import shlex
import sys
from typing import TYPE_CHECKING, Final

from pytest_memguard.cli.common import Answer, Commands, add_command, read_json
from pytest_memguard.errors import ConfigError, Unmeasurable

if TYPE_CHECKING:
    from pytest_memguard.cli.watch_session import WatchSession
    from pytest_memguard.cli.watch_settings import WatchSettings
    from pytest_memguard.watches import WatchRecord

_EXAMPLES: Final = """\
  memguard watch 4711                       a process and its children, until it ends
  memguard watch --duration 10min 4711
  memguard watch -- python server.py        start a program and watch it
  memguard watch --warn rss=6GB --critical rss=8GB,fds=1000 --kill 4711
  memguard watch --critical rss=500MB/5min --restart 3 -- python server.py
  memguard watch --output before -- ./load-test
  memguard watch --against before/recording.json -- ./load-test
  memguard watch --node --heap-snapshots -- node --expose-gc app.js

thresholds:
  SIGNAL=LIMIT, or SIGNAL=LIMIT/TIME for growth within a time; several with commas.
  Signals are rss, fds, threads, connections and children; with --node also heapTotal,
  heapUsed, external and arrayBuffers.

status: 0 flat or a plateau, 1 growing, critical, or the command failed, 2 bad input"""
_HISTORY: Final = ".memguard/history.sqlite3"


def declare(commands: Commands) -> None:
    """Add the command."""
    help_line = "watch a program, and say whether it grows under load"
    parser = add_command(commands, "watch", help_line, _EXAMPLES, watch)
    parser.add_argument(
        "target",
        nargs="*",
        metavar="PID | -- COMMAND",
        help="the number of a process, or a command to start",
    )
    _add_times(parser)
    _add_actions(parser)
    _add_node(parser)
    _add_outputs(parser)


def _add_times(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--interval", metavar="TIME", help="time between two samples (default: 1s)"
    )
    parser.add_argument("--duration", metavar="TIME", help="end after this time")
    parser.add_argument(
        "--warm-up", metavar="TIME", help="leave this out of the verdict (default: a third)"
    )
    parser.add_argument(
        "--children",
        action=argparse.BooleanOptionalAction,
        help="whether descendants count (default: they do)",
    )


def _add_actions(parser: argparse.ArgumentParser) -> None:
    for severity, what in (
        ("info", "print a line if one of these is reached"),
        ("warn", "print a warning if one of these is reached"),
        ("critical", "write a diagnosis as well, and end with status 1"),
    ):
        parser.add_argument(f"--{severity}", metavar="THRESHOLDS", help=what)
    parser.add_argument(
        "--kill",
        action="store_true",
        default=None,
        help="end the program if it is critical: TERM, and KILL after 5 s",
    )
    parser.add_argument(
        "--restart",
        metavar="N",
        help="start the command again up to N times if it fails, dies or was killed",
    )
    parser.add_argument(
        "--limit",
        metavar="SIZE",
        help="let the command and all that it starts use no more together",
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="read these settings from [watch] of a TOML or ini file",
    )


def _add_node(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--node",
        action="store_true",
        default=None,
        help="have Node.js programs report their heap, stages and iterations",
    )
    parser.add_argument(
        "--heap-snapshots",
        action="store_true",
        default=None,
        help="with --node: write two heap snapshots if the program grows",
    )


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help="print the recording as JSON")
    forms.add_argument(
        "--tsv", action="store_true", help="print the samples, tabs between them"
    )
    parser.add_argument(
        "--output",
        metavar="DIR",
        help="write recording.json, samples.tsv, report.txt and diagnoses to this folder",
    )
    parser.add_argument(
        "--history",
        nargs="?",
        const=_HISTORY,
        metavar="FILE_OR_URL",
        help=f"append it to the history of test runs (default: {_HISTORY})",
    )
    parser.add_argument(
        "--against", metavar="RECORDING", help="say whether what grew in this one is flat now"
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        default=None,
        help="end with status 1 also if there is no verdict",
    )
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="print nothing while it lasts"
    )


def watch(options: argparse.Namespace) -> Answer:
    """Watch a program to the end, and print the verdict."""
    from pytest_memguard.cli.watch_settings import resolve
    from pytest_memguard.codecs.watch_codecs import watch_from_json

    settings = resolve(options)
    earlier = None
    if settings.against:
        earlier = watch_from_json(read_json(settings.against), settings.against)
    session, name = _session(options, settings)
    record = session.run()
    return _answer(options, settings, session, record, earlier, name)


def _session(options: argparse.Namespace, settings: WatchSettings) -> tuple[WatchSession, str]:
    """Return the watch of a process, or of a command that is started."""
    from pytest_memguard.cli.command_limit import CommandLimit
    from pytest_memguard.cli.watch_screen import screen_for
    from pytest_memguard.cli.watch_session import WatchSession
    from pytest_memguard.cli.watch_settings import check_process
    from pytest_memguard.cli.watched_command import WatchedCommand
    from pytest_memguard.cli.watched_node import watched_node
    from pytest_memguard.probes.watched_process import check_watchable, identity_of

    words: list[str] = options.target
    if not words:
        msg = "nothing to watch: name a process (4711), or a command (-- python server.py)"
        raise ConfigError(msg)
    quiet = options.quiet or options.json or options.tsv
    if len(words) == 1 and words[0].isascii() and words[0].isdecimal():
        check_process(settings)
        pid = int(words[0][:12])
        try:
            check_watchable(pid)
        except Unmeasurable as error:
            raise ConfigError(str(error)) from error
        identity = identity_of(pid)
        name = identity.text if identity is not None else words[0]
        screen = screen_for(name, quiet=quiet)
        return WatchSession(pid, settings, name, None, screen), name
    name = shlex.join(words)
    with contextlib.ExitStack() as undo:
        stdout = sys.stderr.fileno() if options.json or options.tsv else None
        node = watched_node(settings)
        if node is not None:
            undo.callback(node.close)
        limit = CommandLimit(settings.limit) if settings.limit else None
        if limit is not None:
            undo.callback(limit.close)
        environment = None if node is None else node.environment()
        command = WatchedCommand(words, limit, stdout, environment)
        pid = command.start()
        screen = screen_for(name, quiet=quiet)
        session = WatchSession(pid, settings, name, command, screen, node=node)
        undo.pop_all()
    return session, name


def _answer(
    options: argparse.Namespace,
    settings: WatchSettings,
    session: WatchSession,
    record: WatchRecord,
    earlier: WatchRecord | None,
    name: str,
) -> Answer:
    from pathlib import Path

    from pytest_memguard.cli.history import can_print
    from pytest_memguard.cli.watch_files import (
        RECORDING_FILE,
        append_to_history,
        as_json,
        as_tsv,
        write_files,
    )
    from pytest_memguard.judge.watch_comparison import growth_changes
    from pytest_memguard.report.trend_tables import ASCII, BLOCKS
    from pytest_memguard.report.watch_verdict import comparison_lines, watch_report

    signs = BLOCKS if can_print(BLOCKS, sys.stdout.encoding) else ASCII
    kept = str(Path(settings.output, RECORDING_FILE)) if settings.output else ""
    lines = watch_report(record, signs, kept, session.notes)
    state = record.growth.state
    bad = session.critical or session.failed or state == "growing"
    bad = bad or (settings.strict and state == "undecided")
    if earlier is not None:
        changes = growth_changes(earlier.growth, record.growth)
        lines += comparison_lines(changes, settings.against)
        bad = bad or any(change.is_open for change in changes)
    if settings.output:
        write_files(Path(settings.output), record, "\n".join(lines))
        lines.append(f"recording: {kept}")
    if settings.history:
        lines.append(append_to_history(settings.history, record, name, int(bad)))
    if options.json:
        lines = [as_json(record)]
    elif options.tsv:
        lines = [as_tsv(record)]
    return lines, int(bad)
