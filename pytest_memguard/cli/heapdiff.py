"""``memguard heapdiff``: what has grown between two heap snapshots of a JavaScript program."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Final

from pytest_memguard.cli.common import Answer, Commands, add_command, count_of

_EXAMPLES: Final = """\
  memguard heapdiff first.heapsnapshot last.heapsnapshot
  memguard heapdiff --top 20 --json first.heapsnapshot last.heapsnapshot

Snapshots come from memguard watch --node --heap-snapshots, from v8.writeHeapSnapshot() of
Node.js, or from the developer tools of a browser. Both should be of one process.

status: 0 compared, 2 bad input"""
_MOST: Final = 10


def declare(commands: Commands) -> None:
    """Add the command."""
    help_line = "say what has grown between two heap snapshots of Node.js, and what keeps it"
    parser = add_command(commands, "heapdiff", help_line, _EXAMPLES, heapdiff)
    parser.add_argument("before", metavar="A", help="the earlier snapshot")
    parser.add_argument("after", metavar="B", help="the later one")
    parser.add_argument(
        "--top",
        type=count_of("constructors"),
        default=_MOST,
        metavar="N",
        help=f"constructors to show (default: {_MOST})",
    )
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def heapdiff(options: argparse.Namespace) -> Answer:
    """Print which constructors grew, the chains that keep them, and where they gather."""
    from pytest_memguard.judge.heap_growth import heap_growth
    from pytest_memguard.report.heap_growth import heap_growth_lines
    from pytest_memguard.storage.heap_snapshot import read_heap_snapshot

    before = read_heap_snapshot(Path(options.before))
    after = read_heap_snapshot(Path(options.after))
    growth = heap_growth(before, after, options.top)
    if options.json:
        return [json.dumps(_as_json(growth), indent=1)], 0
    return heap_growth_lines(growth), 0


def _as_json(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _as_json(getattr(value, field.name))
            for field in dataclasses.fields(value)
        }
    return [_as_json(one) for one in value] if isinstance(value, tuple) else value
