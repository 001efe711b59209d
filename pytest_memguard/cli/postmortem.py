"""``memguard postmortem``: says how runs and workers of earlier runs were lost."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from pytest_memguard.cli.common import Answer, Commands, add_command
from pytest_memguard.codecs.flight_codecs import LOST_CODEC
from pytest_memguard.errors import ConfigError
from pytest_memguard.escapes import one_line
from pytest_memguard.judge.lost_worker import lost_worker
from pytest_memguard.model.flights import Ending, LostWorker
from pytest_memguard.recording.lost_flights import earlier_runs, is_alive, lost_in
from pytest_memguard.report.markdown_blocks import COMMENT_LIMIT, fit, paragraph
from pytest_memguard.report.post_mortem import lost_markdown, post_mortem, when_text
from pytest_memguard.storage.flight_folders import LostRun, is_run_folder, read_run_folder
from pytest_memguard.storage.flight_records import read_flight
from pytest_memguard.storage.run_folder import NAME, SUFFIX, remove

_DEFAULT: Final = Path(".pytest_cache", NAME)
_EXAMPLES: Final = """\
  memguard postmortem               the runs that were lost in this project
  memguard postmortem --json
  memguard postmortem path/to/.pytest_cache
  memguard postmortem gw0.flight    the record of one worker
  memguard postmortem --clear       print them, then remove their records

The status is 1 if a run or a worker was lost, 0 if none was."""


def declare(commands: Commands) -> None:
    """Add the command."""
    help_line = "say which test drove the memory of a run or worker that was killed"
    parser = add_command(commands, "postmortem", help_line, _EXAMPLES, run)
    parser.add_argument(
        "path",
        metavar="PATH",
        nargs="?",
        type=Path,
        default=_DEFAULT,
        help="a flight record, the folder of a run, or a folder that has some (default: "
        f"{_DEFAULT})",
    )
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--markdown", action="store_true", help="as Markdown")
    forms.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument(
        "--clear", action="store_true", help="remove the records of lost runs afterwards"
    )


def run(options: argparse.Namespace) -> Answer:
    """Print what is known about lost runs."""
    path: Path = options.path
    if path.suffix == SUFFIX or path.is_file():
        lost = [_of_record(path)]
        return _rendered(options, [("", lost, ())]), 1
    runs = _runs(path)
    found = [(_title(one), lost_in(one), one.problems) for one in runs]
    lines = _rendered(options, found)
    if options.clear:
        for one in runs:
            remove(one.path)
    return lines, 1 if runs else 0


def _of_record(path: Path) -> LostWorker:
    flight = read_flight(path)
    if not flight.pid:
        raise ConfigError(*flight.problems)
    return lost_worker(flight, Ending(oom_source="its end was not seen"))


def _runs(path: Path) -> list[LostRun]:
    if path.is_dir() and is_run_folder(path):
        one = read_run_folder(path)
        if is_alive(one.about):
            msg = f"{path} is the folder of a run that has not ended"
            raise ConfigError(msg)
        return [one]
    if path != _DEFAULT and not path.is_dir():
        msg = f"{path} does not exist"
        raise ConfigError(msg)
    places = [path, path / NAME, path / _DEFAULT]
    runs = earlier_runs([place for place in places if place.is_dir()])
    if path == _DEFAULT:  # a run without a cache has its record among temporary files
        here = str(Path.cwd())
        others = earlier_runs(sorted(Path(tempfile.gettempdir()).glob(f"{NAME}-*")))
        runs += [run for run in others if run.about.get("root") == here]
    return runs


def _title(run: LostRun) -> str:
    command = run.about.get("command", "a run")
    started = run.about.get("time")
    when = f", started {when_text(float(started))}" if started else ""
    ended = "lost workers" if run.reported and run.lost else "was lost"
    return one_line(f"{command} {ended}{when}")


_Found = Sequence[tuple[str, Sequence[LostWorker], Sequence[str]]]


def _rendered(options: argparse.Namespace, found: _Found) -> list[str]:
    if options.json:
        entries = [
            {
                "run": title,
                "lost_workers": [LOST_CODEC.write(one) for one in lost],
                "problems": list(problems),
            }
            for title, lost, problems in found
        ]
        return [json.dumps({"format": 1, "runs": entries}, indent=1)]
    if options.markdown:
        return [_markdown(found).removesuffix("\n")]
    lines = list(_text(found))
    return lines or [f"no run was lost: there is no record in {options.path}"]


def _text(found: _Found) -> Iterator[str]:
    for number, (title, lost, problems) in enumerate(found):
        if number:
            yield ""
        if title:
            yield title
        for one in lost:
            yield from post_mortem(one)
        yield from map(one_line, problems)


def _markdown(found: _Found) -> str:
    blocks: list[list[str]] = []
    for title, lost, problems in found:
        blocks += [[f"## {paragraph(title)}"]] if title else []
        blocks += lost_markdown(lost)
        blocks += [[f"- {paragraph(problem)}" for problem in problems]] if problems else []
    return fit(blocks or [["No run was lost."]], COMMENT_LIMIT)
