"""``memguard log``: appends an experiment to a log, and decides whether to keep it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from pytest_memguard.cli.common import (
    Answer,
    Commands,
    add_command,
    faults_of_file,
    read_numbers,
    read_run,
)
from pytest_memguard.errors import ConfigError
from pytest_memguard.escapes import one_line, tsv_cell
from pytest_memguard.judge.experiment import decide
from pytest_memguard.judge.readings import environment_key, readings
from pytest_memguard.model.baselines import Baseline, BaselineEntry, EnvironmentKey
from pytest_memguard.model.metrics import METRICS, RSS
from pytest_memguard.model.results import Outcome, Run
from pytest_memguard.probes.commit import current_commit
from pytest_memguard.sizes import MIB, format_size
from pytest_memguard.storage.baseline import FILE
from pytest_memguard.storage.experiments import append_line
from pytest_memguard.units import as_number

_EXAMPLES: Final = """\
  pytest --mem-save                                     what is to become less
  pytest --mem-json memory.json                         after each change
  memguard log --tsv results.tsv --description "stream the rows"
  memguard log --tsv results.tsv --description "stream the rows" --target test_load
"""
_PASSED: Final = frozenset({"passed", "xfailed", "xpassed"})
_FAILED: Final = frozenset({"failed", "error"})


def declare(commands: Commands) -> None:
    """Add the command."""
    help_line = "append the last run to a log of experiments, and say whether to keep it"
    parser = add_command(commands, "log", help_line, _EXAMPLES, log)
    parser.add_argument("--tsv", required=True, metavar="FILE", help="the log")
    parser.add_argument(
        "--description", required=True, metavar="TEXT", help="what was tried, in a few words"
    )
    parser.add_argument(
        "--run",
        default="memory.json",
        metavar="FILE",
        help="the last run, as pytest --mem-json wrote it (default: memory.json)",
        dest="run_file",
    )
    parser.add_argument(
        "--baseline",
        default=FILE,
        metavar="FILE",
        help=f"what it is compared with, a baseline or a run (default: {FILE})",
    )
    parser.add_argument(
        "--target",
        metavar="NODEID",
        help="the test it is about, or a part of its name "
        "(default: the largest on record of those that ran)",
    )
    parser.add_argument(
        "--metric", choices=tuple(METRICS), default=RSS.name, help="what counts (default: rss)"
    )
    parser.add_argument(
        "--keep-mib",
        type=_mib,
        default=5.0,
        metavar="N",
        help="MiB that must be saved (default: 5)",
    )


def log(options: argparse.Namespace) -> Answer:
    """Decide, and append a line."""
    with faults_of_file(options.run_file):
        cells, decided = _attempt(options)
    commit = current_commit(Path.cwd())
    changed = "+" if commit.dirty else ""
    path = Path(options.tsv)
    try:
        written = [f"{commit.name[:12]}{changed}", *cells, options.description.strip()]
        number = append_line(path, [tsv_cell(cell) for cell in written])
    except OSError as error:
        msg = f"{path} could not be written: {error.strerror or error}"
        raise ConfigError(msg) from error
    lines = [decided]
    if commit.reason:
        lines.append(one_line(f"no commit in the log: {commit.reason}"))
    return [*lines, one_line(f"experiment {number:,} in {path}")], 0


def _attempt(options: argparse.Namespace) -> tuple[list[str], str]:
    """Return the cells between commit and description, and the decision in words."""
    run = read_run(options.run_file)
    environment = replace(environment_key(run.environment), metric=options.metric)
    on_record = _on_record(options.baseline, environment)
    target = _target(options, run, on_record)
    results = {outcome.nodeid: outcome.result for outcome in run.outcomes}.values()
    failed = sum(1 for result in results if result in _FAILED)
    decision = decide(
        on_record[target.nodeid],
        readings(run).environments.get(environment, {}).get(target.nodeid),
        metric=options.metric,
        failed=failed,
        keep=int(options.keep_mib * MIB),
    )
    peak = _peak(target, options.metric)
    cells = [
        target.nodeid,
        "" if peak is None else f"{peak / MIB:.2f}",
        f"{run.totals[-1].highest / MIB:.2f}" if run.totals else "",
        "",  # total_allocs: a run does not count its allocations
        f"{sum(p.seconds for o in run.outcomes for p in o.phases):.3f}",
        str(sum(1 for result in results if result in _PASSED)),
        str(failed),
        decision.status,
    ]
    now = "" if peak is None else f" (now {format_size(peak)})"
    return cells, one_line(f"{decision.status}: {target.nodeid}: {decision.reason}{now}")


def _on_record(name: str, environment: EnvironmentKey) -> Mapping[str, BaselineEntry]:
    numbers = read_numbers(name)
    baseline = numbers if isinstance(numbers, Baseline) else readings(numbers)
    entries = baseline.environments.get(environment)
    if not entries:
        there = (
            ", ".join(sorted({_in_words(p) for p in baseline.environments})) or "none at all"
        )
        msg = f"{name} has no numbers for {_in_words(environment)}, only for: {there}"
        raise ConfigError(msg)
    return entries


def _in_words(key: EnvironmentKey) -> str:
    return f"{key.system} {key.machine}, {key.implementation} {key.python}, {key.metric}"


def _target(
    options: argparse.Namespace, run: Run, on_record: Mapping[str, BaselineEntry]
) -> Outcome:
    """Return the test that counts: it must have run, and be in the baseline."""
    ran = {outcome.nodeid: outcome for outcome in run.outcomes}
    if options.target is None:
        both = [nodeid for nodeid in ran if nodeid in on_record]
        if not both:
            msg = f"no test of {options.run_file} is on record in {options.baseline}"
            raise ConfigError(msg)
        return ran[max(both, key=lambda nodeid: (on_record[nodeid].peak, nodeid))]
    exact = [options.target] if options.target in ran else []
    found = exact or [nodeid for nodeid in ran if options.target in nodeid]
    if len(found) != 1:
        some = ", ".join(found[:5]) + (", ..." if len(found) > 5 else "")
        what = f"means {len(found)} tests ({some})" if found else "is no test of it"
        which = f"write the node id of one in {options.run_file}"
        msg = f"--target {options.target!r} {what}: {which}"
        raise ConfigError(msg)
    if found[0] not in on_record:
        msg = f"{found[0]} is not in {options.baseline}; pytest --mem-save puts it there"
        raise ConfigError(msg)
    return ran[found[0]]


def _peak(outcome: Outcome, metric: str) -> int | None:
    call = outcome.phase("call")
    peaks = call.peaks if call is not None else ()
    return next((peak.value for peak in peaks if peak.metric == metric), None)


def _mib(text: str) -> float:
    number = as_number(text)
    if number is None or not 0 <= number < 1e9:
        msg = f"{text!r} is not a number of MiB: write 5 or 0.5"
        raise argparse.ArgumentTypeError(msg)
    return number
