"""``memguard export``: writes numbers in the formats of other tools."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from pytest_memguard.cli.common import (
    Answer,
    Commands,
    add_command,
    faults_of_file,
    read_numbers,
    read_run,
    size_of,
)
from pytest_memguard.errors import ConfigError
from pytest_memguard.escapes import one_line
from pytest_memguard.probes.repository import prefix_of
from pytest_memguard.report.exports import FORMATS, github_action_benchmark
from pytest_memguard.report.gitlab import code_quality
from pytest_memguard.report.notices import notices
from pytest_memguard.report.rows import rows_of
from pytest_memguard.sizes import MIB
from pytest_memguard.storage.files import write_whole

_EXAMPLES: Final = """\
  memguard export memory.json --format csv -o memory.csv
  memguard export memory.json --format bencher | bencher run --adapter json
  memguard export memory.json --format github-action-benchmark -o benchmark.json
  memguard export .memguard/baseline.json --format openmetrics -o memory.prom
"""
_GITLAB: Final = "gitlab"
"""GitLab's code quality report: the findings, not the numbers."""


def declare(commands: Commands) -> None:
    """Add the command."""
    help_line = "write the numbers of a run, or of a baseline, in another tool's format"
    parser = add_command(commands, "export", help_line, _EXAMPLES, export)
    parser.add_argument(
        "file", metavar="FILE", help="what pytest --mem-json or --mem-save wrote"
    )
    formats = (*FORMATS, _GITLAB)
    parser.add_argument("--format", required=True, choices=formats, help="what to write")
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="where to (default: standard output)"
    )
    parser.add_argument(
        "--floor",
        type=size_of,
        default=MIB,
        metavar="SIZE",
        help="with github-action-benchmark, write smaller peaks as SIZE: it compares by the "
        "ratio, which would be infinite after a peak of 0 (default: 1 MiB)",
    )


def export(options: argparse.Namespace) -> Answer:
    """Write the numbers of a file in another format."""
    with faults_of_file(options.file):
        text, what = _findings(options) if options.format == _GITLAB else _rows(options)
    if options.output is None:
        return [text.removesuffix("\n")], 0
    path = Path(options.output)
    try:
        write_whole(path, text)
    except OSError as error:
        msg = f"{path} could not be written: {error.strerror or error}"
        raise ConfigError(msg) from error
    return [one_line(f"{options.format}, {what}: {path}")], 0


def _findings(options: argparse.Namespace) -> tuple[str, str]:
    found = notices(read_run(options.file))
    many = "1 finding" if len(found) == 1 else f"{len(found):,} findings"
    return code_quality(found, prefix_of(Path.cwd())), many


def _rows(options: argparse.Namespace) -> tuple[str, str]:
    rows = rows_of(read_numbers(options.file))
    if not rows:
        msg = f"{options.file} has no measured test: there is nothing to export"
        raise ConfigError(msg)
    if options.format == "github-action-benchmark":
        text = github_action_benchmark(rows, options.floor)
    else:
        text = FORMATS[options.format](rows)
    tests = len({row.test for row in rows})
    return text, "1 test" if tests == 1 else f"{tests:,} tests"
