"""``memguard merge``: merges the shards of a suite into one run or one baseline."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pytest_memguard.cli.common import Answer, Commands, add_command
from pytest_memguard.cli.numbers import Numbers, numbers_in
from pytest_memguard.cli.shards import alike, merge_runs
from pytest_memguard.codecs.run_codec import run_in_pieces
from pytest_memguard.errors import ConfigError
from pytest_memguard.escapes import one_line
from pytest_memguard.judge.merging import merge_baselines
from pytest_memguard.model.baselines import Baseline
from pytest_memguard.model.results import Environment
from pytest_memguard.report.changes import environment_text
from pytest_memguard.storage.baseline import write_baseline
from pytest_memguard.storage.files import write_whole

_EXAMPLES = """\
  memguard merge shard-1.json shard-2.json -o memory.json
  memguard merge shard-*.json --baseline -o .memguard/baseline.json
  memguard merge linux.json macos.json old-baseline.json -o baseline.json

Runs become a run. With --baseline, and where one of the files is a baseline, they become a
baseline, which holds several environments beside each other."""
_SHOWN = 5


def declare(commands: Commands) -> None:
    """Add the command."""
    help_line = "make one file out of those of several shards or machines"
    parser = add_command(commands, "merge", help_line, _EXAMPLES, run)
    parser.add_argument(
        "shards",
        metavar="SHARD",
        nargs="+",
        help="what pytest --mem-json or --mem-save wrote",
    )
    parser.add_argument(
        "-o", "--output", required=True, metavar="FILE", help="the file to write"
    )
    parser.add_argument("--baseline", action="store_true", help="write a baseline, not a run")


def run(options: argparse.Namespace) -> Answer:
    """Merge, write, and report what was done."""
    shards = [numbers_in(name) for name in options.shards]
    several = options.baseline or any(shard.run is None for shard in shards)
    lines = (_into_baseline if several else _into_run)(shards, Path(options.output))
    return [one_line(line) for line in lines], 0


def _into_baseline(shards: Sequence[Numbers], output: Path) -> list[str]:
    merged = Baseline()
    seen: dict[tuple[object, str], int] = {}
    for shard in shards:
        for environment, tests in shard.baseline.environments.items():
            for nodeid in tests:
                seen[environment, nodeid] = seen.get((environment, nodeid), 0) + 1
        merged = merge_baselines(merged, shard.baseline)
    write_baseline(output, merged)
    lines = [f"{output}: a baseline of {_files(len(shards))}"]
    for environment, tests in merged.environments.items():
        lines.append(
            f"  {environment_text(environment)}, {environment.metric}: {_tests(len(tests))}"
        )
    lines += _twice(
        [nodeid for (_, nodeid), count in seen.items() if count > 1],
        "their readings were put together",
    )
    without = sum(len(shard.without) for shard in shards)
    if without:
        lines.append(f"left out: {_tests(without)} without numbers, which did not pass")
    return lines


def _into_run(shards: Sequence[Numbers], output: Path) -> list[str]:
    runs = {
        name: shard.run
        for name, shard in zip(_names(shards), shards, strict=True)
        if shard.run is not None
    }
    environments = {name: run.environment for name, run in runs.items()}
    if not alike(list(environments.values())):
        listed = "; ".join(f"{name}: {_words(env)}" for name, env in environments.items())
        msg = (
            f"these are runs of different environments, which make no one run ({listed}); "
            "--baseline puts them beside each other in a baseline"
        )
        raise ConfigError(msg)
    merged, twice = merge_runs(runs)
    try:
        write_whole(output, run_in_pieces(merged))
    except OSError as error:
        msg = f"{output} could not be written: {error.strerror or error}"
        raise ConfigError(msg) from error
    lines = [f"{output}: a run of {_files(len(shards))}, {_tests(len(merged.outcomes))}"]
    lines += _twice(twice, "the worst result is kept, and of equal ones the highest peak")
    if len({*environments.values()}) > 1:
        listed = "; ".join(f"{name}: {_words(env)}" for name, env in environments.items())
        lines.append(f"versions differ, those of the first are kept ({listed})")
    return lines


def _names(shards: Sequence[Numbers]) -> list[str]:
    """Return a short name for each shard: its file's, numbered if several are the same."""
    stems = [Path(shard.name).stem for shard in shards]
    return [
        stem if stems.count(stem) == 1 else f"{stem}-{number}"
        for number, stem in enumerate(stems, 1)
    ]


def _words(environment: Environment) -> str:
    return (
        f"{environment.implementation} {environment.python} on {environment.platform}, "
        f"{environment.allocator}, pytest {environment.pytest}, "
        f"pytest-memguard {environment.memguard}"
    )


def _tests(count: int) -> str:
    return "1 test" if count == 1 else f"{count:,} tests"


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count:,} files"


def _twice(nodeids: Sequence[str], what: str) -> list[str]:
    if not nodeids:
        return []
    more = f" and {len(nodeids) - _SHOWN:,} more" if len(nodeids) > _SHOWN else ""
    names = ", ".join(sorted(nodeids)[:_SHOWN])
    return [f"in more than one file: {_tests(len(nodeids))} ({names}{more}); {what}"]
