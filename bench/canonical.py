"""Runs the canonical suite again and again in random order: ``python bench/canonical.py``."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SUITE = Path(__file__).with_name("canonical")
PLUGINS = ("memguard", "randomly", "asyncio", "anyio", "xdist")
JSON = "--mem-json"
MISSED = "NO BREACH "
WAYS: tuple[tuple[str, ...], ...] = (
    (),
    (JSON,),
    ("--interleave",),
    ("--interleave", JSON),
    ("-n2",),
    ("-n2", JSON, "--interleave"),
)
"""Flags of the runs, in turns.

With a file of numbers every test is measured the slow way, and every finding is checked.
Without one most tests take the fast way, and pytest's own outcomes are all there is to check.
"""
_LINE = re.compile(r"^(?P<test>.+?): .+ \((?P<rule>undecided|not-measured|stage-not-run)\)$")
_OVER = re.compile(r"(?<![a-z])over(?![a-z])")
_WITHIN = re.compile(r"(?<![a-z])within(?![a-z])")
_COUNT = re.compile(r"(\d+) (passed|xfailed|skipped)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one run of the suite came to."""

    counts: Counter[str]
    """Tests by pytest's outcome."""
    undecided: tuple[str, ...]
    """Lines about budgets that were not decided, or not measured."""
    wrong: tuple[str, ...]
    """Tests that did something else than their names say, and errors of the run."""
    seconds: float
    """By the clock."""

    @property
    def green(self) -> bool:
        """Whether every budget was decided, and decided rightly."""
        return not (self.undecided or self.wrong)


def main() -> int:
    """Run what was asked for and print a line for each run.

    Returns:
        1 if a run was not green.
    """
    options = arguments()
    greens = []
    for python in options.python:
        versions = versions_of(python)
        outcomes = []
        for number, flags in zip(range(options.runs), itertools.cycle(WAYS), strict=False):
            seed = options.seed + number
            outcome = run(python, seed, flags)
            outcomes.append(outcome)
            print(line(versions, seed, flags, outcome), flush=True)
            if not outcome.green:
                print(details(python, seed, flags, outcome), flush=True)
        green = sum(outcome.green for outcome in outcomes)
        greens.append(green == len(outcomes))
        print(f"{versions}: {green} of {len(outcomes)} runs green")
    return int(not all(greens))


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="of each interpreter (20)")
    parser.add_argument("--seed", type=int, default=1, help="of the first run (1)")
    parser.add_argument(
        "python", nargs="*", default=[sys.executable], help="interpreters (this one)"
    )
    return parser.parse_args()


def versions_of(python: str) -> str:
    """The versions of an interpreter and of its pytest."""
    code = "import platform, pytest; print(platform.python_version(), pytest.__version__)"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    version, pytest = done.stdout.split()
    return f"Python {version}, pytest {pytest}"


def command(python: str, seed: int, flags: Sequence[str]) -> list[str]:
    """The command line of one run, with the plugins that the suite needs and no others."""
    chosen = [part for name in PLUGINS for part in ("-p", name)]
    pytest = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen]
    return [*pytest, f"--randomly-seed={seed}", *flags, str(SUITE)]


def run(python: str, seed: int, flags: Sequence[str]) -> Outcome:
    """Run the suite once.

    Args:
        python: the interpreter.
        seed: of the random order.
        flags: one of `WAYS`.
    """
    path = os.pathsep.join([str(SUITE.parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = {
        **os.environ,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": path.rstrip(os.pathsep),
        "COLUMNS": "400",
    }
    environment.pop("PYTEST_ADDOPTS", None)
    with tempfile.TemporaryDirectory(prefix="memguard-canonical-") as name:
        numbers = Path(name) / "numbers.json"
        given = [f"{JSON}={numbers}" if flag == JSON else flag for flag in flags]
        start = time.perf_counter()
        done = subprocess.run(
            command(python, seed, given),
            capture_output=True,
            text=True,
            check=False,
            cwd=name,
            env=environment,
        )
        seconds = time.perf_counter() - start
        tests = json.loads(numbers.read_text())["tests"] if numbers.exists() else []
    return judge(done.returncode, done.stdout + done.stderr, tests, seconds, flags)


def judge(
    status: int, output: str, tests: Sequence[dict], seconds: float, flags: Sequence[str]
) -> Outcome:
    """What a run came to.

    Args:
        status: pytest's exit status.
        output: what it printed.
        tests: those of the file of numbers, if one was asked for.
        seconds: how long the run took.
        flags: those of the run.
    """
    lines = output.splitlines()
    undecided = tuple(text for text in lines if _LINE.match(text))
    doubtful = {_LINE.match(text)["test"] for text in undecided}
    missed = {text.removeprefix(MISSED) for text in lines if text.startswith(MISSED)}
    wrong = [text for text in lines if text.startswith(("FAILED", "ERROR", "SUBFAILED"))]
    wrong += [f"{test}: no breach, and no line" for test in sorted(missed - doubtful)]
    wrong += [text for test in tests if (text := contradiction(test))]
    if JSON in flags and not tests:
        wrong.append("no numbers were written")
    if status and not (wrong or undecided):
        wrong.append(f"exit status {status}: {output[-2000:]}")
    counts = Counter({word: int(number) for number, word in _COUNT.findall(lines[-1])})
    return Outcome(counts=counts, undecided=undecided, wrong=tuple(wrong), seconds=seconds)


def contradiction(test: dict) -> str:
    """What a test's findings say that its name does not; empty if they agree.

    Args:
        test: one of the file of numbers.
    """
    rules = [finding["rule"] for finding in test["findings"]]
    if "undecided" in rules or test["result"] == "skipped":
        return ""
    if _OVER.search(test["nodeid"]):
        expected, right = "one breach", rules == ["over-budget"]
    elif _WITHIN.search(test["nodeid"]):
        expected, right = "no finding", not rules and test["result"] == "passed"
    else:
        expected, right = "no finding", not rules
    return "" if right else f"{test['nodeid']}: {expected} expected, not {rules or 'none'}"


def line(versions: str, seed: int, flags: Sequence[str], outcome: Outcome) -> str:
    """One line on one run."""
    counts = " ".join(f"{outcome.counts[word]} {word}" for word in ("passed", "xfailed"))
    verdict = "green" if outcome.green else "NOT GREEN"
    return (
        f"{versions}, seed {seed:3} {' '.join(flags):30} {counts}, "
        f"{len(outcome.undecided)} undecided, {len(outcome.wrong)} wrong, "
        f"{outcome.seconds:5.1f} s: {verdict}"
    )


def details(python: str, seed: int, flags: Sequence[str], outcome: Outcome) -> str:
    """What was not right about a run, and how to repeat it."""
    given = [f"{JSON}=numbers.json" if flag == JSON else flag for flag in flags]
    repeat = shlex.join(command(python, seed, given))
    texts = [*outcome.wrong, *outcome.undecided]
    return "\n".join(
        f"    {text}" for text in [*texts, f"PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 {repeat}"]
    )


if __name__ == "__main__":
    sys.exit(main())
