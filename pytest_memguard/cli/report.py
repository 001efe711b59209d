"""``memguard report``: prints the numbers of a stored run or of a baseline again."""

from __future__ import annotations

import argparse
import shutil
from typing import Final

from pytest_memguard.cli.common import (
    Answer,
    Commands,
    add_command,
    count_of,
    faults_of_file,
    read_numbers,
)
from pytest_memguard.escapes import one_line
from pytest_memguard.model.baselines import Baseline
from pytest_memguard.model.results import Run
from pytest_memguard.report.abort import abort_lines
from pytest_memguard.report.alerts import alert_lines
from pytest_memguard.report.baseline_tables import baseline_markdown, baseline_section
from pytest_memguard.report.exports import as_json, as_tsv
from pytest_memguard.report.leak_section import leaks_section
from pytest_memguard.report.markdown import markdown
from pytest_memguard.report.markdown_blocks import COMMENT_LIMIT
from pytest_memguard.report.parallel import summary_lines
from pytest_memguard.report.post_mortem import post_mortem
from pytest_memguard.report.rows import rows_of
from pytest_memguard.report.summary import memory_section, notes

_EXAMPLES: Final = """\
  pytest --mem-json memory.json     write the numbers of a run
  memguard report memory.json       print them again, the largest peaks first
  memguard report memory.json --top 50
  memguard report memory.json --markdown > summary.md
  memguard report .memguard/baseline.json --tsv
"""


def declare(commands: Commands) -> None:
    """Add the command."""
    help_line = "print the numbers of a stored run, or of a baseline"
    parser = add_command(commands, "report", help_line, _EXAMPLES, report)
    parser.add_argument(
        "file", metavar="FILE", help="what pytest --mem-json or --mem-save wrote"
    )
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument(
        "--markdown",
        action="store_const",
        dest="form",
        const="markdown",
        help=f"as Markdown, at most {COMMENT_LIMIT:,} bytes: what fits into a comment",
    )
    forms.add_argument(
        "--tsv",
        action="store_const",
        dest="form",
        const="tsv",
        help="a line for each test and metric, tabs between the columns",
    )
    forms.add_argument(
        "--json",
        action="store_const",
        dest="form",
        const="json",
        help="the same lines as a list of objects",
    )
    parser.add_argument(
        "--top",
        type=count_of("tests"),
        default=10,
        metavar="N",
        help="tests to show (default: 10)",
    )


def report(options: argparse.Namespace) -> Answer:
    """Print the numbers in the requested format."""
    with faults_of_file(options.file):
        return [_text(options)], 0


def _text(options: argparse.Namespace) -> str:
    numbers = read_numbers(options.file)
    if options.form in {"tsv", "json"}:
        rows = rows_of(numbers)
        tests = set(list(dict.fromkeys(row.test for row in rows))[: options.top])
        write = as_tsv if options.form == "tsv" else as_json
        text = write([row for row in rows if row.test in tests])
    elif isinstance(numbers, Baseline):
        if options.form == "markdown":
            text = baseline_markdown(numbers, options.top, COMMENT_LIMIT)
        else:
            text = baseline_section(numbers, options.top)
    elif options.form == "markdown":
        text = markdown(numbers, top=options.top, limit=COMMENT_LIMIT)
    else:
        text = "\n".join(_section(numbers, options.top))
    return text.removesuffix("\n")


def _section(run: Run, top: int) -> list[str]:
    width = shutil.get_terminal_size().columns
    lines = [
        *(line.text for line in memory_section(run.outcomes, run.totals, top, width)),
        *notes(run.outcomes, with_failures=True),
    ]
    leaks = leaks_section(run.outcomes, {})
    if leaks:
        lines += ["", "Leaks:", *leaks]
    if run.parallel is not None:
        lines += ["", *map(one_line, summary_lines(run.parallel))]
    for lost in run.lost:
        lines += ["", *post_mortem(lost)]
    if run.abort is not None:
        lines += ["", *abort_lines(run.abort)]
    if run.alerts:
        lines += ["", *alert_lines(run.alerts)]
    return lines
