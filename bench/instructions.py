"""Counts the machine instructions that the plugin adds: ``python bench/instructions.py``.

Valgrind's callgrind runs suites of few and of many empty tests. What one more test takes, and
what a run takes without any, come out of the difference, and other work on the machine does not
show in either. Only instructions of the process itself count, none of the kernel.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import suites
from figures import Figure, Table, at_most
from run import machine
from runs import IDLE, PLAIN, REPORT, RunError, Variant

FEW, MANY = 200, 1200
"""Tests of the two suites."""
SEEDS = (1, 2, 3)
"""Hash seeds: where objects lie decides how often the interpreter's cache of attributes misses,
which is worth thousands of instructions a test, with the plugin or without."""
_SUMMARY = re.compile(r"^(?:summary|totals): (\d+)", re.MULTILINE)
_MILLION = 1e6
_MEMGUARD = frozenset({"memguard"})


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of run, and what it may add."""

    variant: Variant
    """How it is run."""
    per_test: float
    """Instructions that it may add for each test, if they are functions."""
    startup: float | None = None
    """Millions of instructions that it may add to the start."""


def _with(name: str, *flags: str) -> Variant:
    return Variant(name=name, plugins=_MEMGUARD, flags=flags)


KINDS = {
    "idle": Kind(IDLE, 2_000, 15),
    "generous": Kind(_with("--mem-budget 8GB", "--mem-budget", "8GB"), 10_000, 100),
    "tight": Kind(_with("--mem-budget 20MB", "--mem-budget", "20MB"), 250_000),
    "report": Kind(REPORT, 450_000),
}
"""What is counted, by the name that asks for it."""
SHAPES: dict[str, Callable[[Path, int], Path]] = {
    "functions": suites.functions,
    "parameters": suites.parametrised,
}
"""How the empty tests are written."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Instructions of a kind of run."""

    per_test: float
    """What one more test takes."""
    startup: float
    """What is left without tests."""


def main() -> int:
    """Count what was asked for, and print a table for each shape of tests."""
    options = arguments()
    if shutil.which("valgrind") is None:
        print("valgrind is missing (Debian and Ubuntu: apt install valgrind)", file=sys.stderr)
        return 1
    print(machine())
    try:
        for shape in options.shape or SHAPES:
            with tempfile.TemporaryDirectory(prefix="memguard-bench-") as folder:
                kinds = [KINDS[name] for name in options.only or KINDS]
                print(f"\n{table(Path(folder), shape, kinds).text()}", flush=True)
    except RunError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=KINDS, help="one of them (repeatable)"
    )
    parser.add_argument(
        "--shape", action="append", choices=SHAPES, help="how the tests are written"
    )
    return parser.parse_args()


def table(folder: Path, shape: str, kinds: Sequence[Kind]) -> Table:
    """What some kinds of runs add to plain pytest.

    Args:
        folder: for the suites and what valgrind writes.
        shape: of the tests.
        kinds: which.
    """
    paths = [SHAPES[shape](folder, tests) for tests in (FEW, MANY)]
    plain = [counted(PLAIN, paths, folder, seed) for seed in SEEDS]
    figures = [
        Figure(name="plain pytest, per test", values=[one.per_test for one in plain]),
        Figure(
            name="plain pytest, start-up (million)",
            values=[one.startup / _MILLION for one in plain],
        ),
    ]
    for kind in kinds:
        found = [counted(kind.variant, paths, folder, seed) for seed in SEEDS]
        pairs = list(zip(plain, found, strict=True))
        per_test = [after.per_test - before.per_test for before, after in pairs]
        startup = [(after.startup - before.startup) / _MILLION for before, after in pairs]
        name = kind.variant.name
        limit = at_most(kind.per_test) if shape == "functions" else None
        figures.append(Figure(name=f"{name}, added per test", values=per_test, target=limit))
        limit = None if kind.startup is None else at_most(kind.startup)
        figures.append(
            Figure(name=f"{name}, added to start-up (million)", values=startup, target=limit)
        )
    return Table(f"Instructions, {shape}: {FEW} and {MANY:,} empty tests", figures)


def counted(variant: Variant, paths: Sequence[Path], folder: Path, seed: int) -> Counted:
    """What a kind of run takes.

    Args:
        variant: how it is run.
        paths: the suite of few tests, and the one of many.
        folder: for what valgrind writes.
        seed: of the hashes of texts.

    Raises:
        RunError: if pytest failed.
    """
    few, many = (_instructions(variant, path, folder, seed) for path in paths)
    per_test = (many - few) / (MANY - FEW)
    return Counted(per_test, few - FEW * per_test)


def _instructions(variant: Variant, suite: Path, folder: Path, seed: int) -> int:
    """Instructions of one run; of the second, which finds all bytecode."""
    environment = {
        **os.environ,
        **variant.variables(suite),
        "PYTHONHASHSEED": str(seed),
        "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    out = folder / "callgrind.out"
    command = [*variant.command(suite), "-pno:cacheprovider"]
    valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", *command]
    for words in (command, valgrind):
        done = subprocess.run(
            words, cwd=suite, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            msg = f"{variant.name}: exit status {done.returncode}\n{done.stdout[-2000:]}"
            raise RunError(msg)
    found = _SUMMARY.search(out.read_text())
    if found is None:
        msg = f"{variant.name}: callgrind has written no summary"
        raise RunError(msg)
    return int(found[1])


if __name__ == "__main__":
    sys.exit(main())
