"""Counts the machine instructions that the plugin adds: ``python bench/instructions.py``.

Valgrind's cachegrind counts the instructions of suites of more and more empty tests. What one
more test takes, and what a run takes without any, come out of the differences, and other work
on the machine does not show in either. Only instructions of the process itself count, none of
the kernel, and garbage is not collected: whether one more collection of everything falls into a
run depends on how many objects it began with, and is worth 15,000 instructions a test.

The clocks are counters: memguard does some things only where they are cheap, or once in a
while, and under valgrind everything takes fifty times as long, or more on a busy machine. By
the true clocks ``--mem`` took from 400,000 to 900,000 instructions a test.
"""

from __future__ import annotations

import argparse
import compileall
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.metadata import distribution
from itertools import pairwise, product
from pathlib import Path
from statistics import median

import suites
from figures import Figure, Table, at_most
from run import machine
from runs import IDLE, PLAIN, REPORT, RunError, Variant

SIZES = (100, 300, 500, 700)
"""Tests of the suites. What one more test takes is the median of the three differences: in one
of them some large table of the interpreter may have to grow, which takes a million."""
SEEDS = (1, 2, 3)
"""Hash seeds: where objects lie decides how often the interpreter's cache of attributes misses,
which is worth thousands of instructions a test, with the plugin or without."""
SITE = "site"
"""Folder of the package as a wheel installs it."""
_SUMMARY = re.compile(r"^summary: (\d+)", re.MULTILINE)
_MILLION = 1e6
_MEMGUARD = frozenset({"memguard"})
_PYTEST = """\
import gc, itertools, os, sys, time
gc.disable()
for clock in "perf_counter", "thread_time":  # two microseconds from one look to the next
    setattr(time, clock, itertools.count(0, 2e-6).__next__)
import pytest
status = pytest.console_main()
sys.stdout.flush()
os._exit(status)  # what the interpreter does at its end depends on what it finds last
"""
_OFF = ("-pno:cacheprovider", "-pno:unraisableexception")
"""Plugins of pytest that are off: one stores what ran, and one collects garbage at the end."""
_NO_BYTECODE = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": f"{{folder}}/../{SITE}"}


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of run, and what it may add."""

    variant: Variant
    """How it is run."""
    per_test: float
    """Instructions that it may add for each test, if they are functions."""
    startup: float | None = None
    """Millions of instructions that it may add to the start."""
    without: Variant = PLAIN
    """What it is compared with."""


def _with(name: str, *flags: str) -> Variant:
    return Variant(name=name, plugins=_MEMGUARD, flags=flags)


GENEROUS = _with("--mem-budget 8GB", "--mem-budget", "8GB")
KINDS = {
    "idle": Kind(IDLE, 2_000, 15),
    "generous": Kind(GENEROUS, 10_000, 100),
    # a process holds a twentieth of that, so each test is measured; next to a smaller budget
    # valgrind's own memory, of which no allocator knows, is too much to decide anything
    "tight": Kind(_with("--mem-budget 1GB", "--mem-budget", "1GB"), 250_000),
    "report": Kind(REPORT, 450_000),
    "image": Kind(
        replace(GENEROUS, name="--mem-budget 8GB, no bytecode", environment=_NO_BYTECODE),
        10_000,
        250,
        replace(PLAIN, name="plain pytest, no bytecode", environment=_NO_BYTECODE),
    ),
}
"""What is counted, by the name that asks for it. In most images of containers no bytecode is
written: what pytest rewrites it then compiles in every run."""
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
    kinds = [KINDS[name] for name in options.only or KINDS]
    try:
        for shape in options.shape or SHAPES:
            with tempfile.TemporaryDirectory(prefix="memguard-bench-") as folder:
                counted = count(Path(folder), shape, kinds, options.seeds)
            print(f"\n{table(shape, kinds, counted).text()}", flush=True)
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
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=SEEDS, help="hash seeds (three by default)"
    )
    return parser.parse_args()


def table(shape: str, kinds: Sequence[Kind], counted: Mapping[str, Sequence[Counted]]) -> Table:
    """What some kinds of runs add to plain pytest.

    Args:
        shape: of the tests.
        kinds: which.
        counted: what each variant takes under each seed, by its name.
    """
    figures = []
    for plain in dict.fromkeys(kind.without.name for kind in kinds):
        per_test = [one.per_test for one in counted[plain]]
        startup = [one.startup / _MILLION for one in counted[plain]]
        figures.append(Figure(name=f"{plain}, per test", values=per_test))
        figures.append(Figure(name=f"{plain}, start-up (million)", values=startup))
    for kind in kinds:
        name = kind.variant.name
        pairs = list(zip(counted[kind.without.name], counted[name], strict=True))
        per_test = [after.per_test - before.per_test for before, after in pairs]
        startup = [(after.startup - before.startup) / _MILLION for before, after in pairs]
        limit = at_most(kind.per_test) if shape == "functions" else None
        figures.append(Figure(name=f"{name}, added per test", values=per_test, target=limit))
        limit = None if kind.startup is None else at_most(kind.startup)
        figures.append(
            Figure(name=f"{name}, added to start-up (million)", values=startup, target=limit)
        )
    sizes = ", ".join(map(str, SIZES))
    return Table(f"Instructions, {shape}: suites of {sizes} empty tests", figures)


def count(
    folder: Path, shape: str, kinds: Sequence[Kind], seeds: Sequence[int]
) -> dict[str, list[Counted]]:
    """Return what each variant takes, by its name: one value for each seed.

    Runs take place side by side, as many as there are processors; each is reported when it
    has ended, because they take long.

    Args:
        folder: for the suites and what valgrind writes.
        shape: of the tests.
        kinds: what is counted.
        seeds: of the hashes of texts.
    """
    paths = {tests: SHAPES[shape](folder, tests) for tests in SIZES}
    install(folder / SITE)
    variants = {one.name: one for kind in kinds for one in (kind.without, kind.variant)}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        prepared = [
            pool.submit(_run, variants[name], paths[tests], _environment(folder, 0), ())
            for name, tests in product(variants, paths)
        ]
        for one in prepared:  # from now on there is bytecode
            one.result()
        runs = {
            (name, seed, tests): pool.submit(
                _instructions, variants[name], paths[tests], folder, seed
            )
            for name, seed, tests in product(variants, seeds, paths)
        }
        found = {key: run.result() for key, run in runs.items()}
    return {
        name: [_counted([found[name, seed, tests] for tests in SIZES]) for seed in seeds]
        for name in variants
    }


def install(site: Path) -> None:
    """Put the package where no other run has compiled it, as pip does with a wheel.

    Args:
        site: the folder, which is made.
    """
    package = Path(__file__).parent.parent / "pytest_memguard"
    shutil.copytree(package, site / package.name, ignore=shutil.ignore_patterns("*.pyc"))
    compileall.compile_dir(site, quiet=1)
    known = distribution("pytest-memguard")
    about = site / f"pytest_memguard-{known.version}.dist-info"
    about.mkdir()
    for name in ("METADATA", "entry_points.txt"):
        (about / name).write_text(known.read_text(name) or "")
    files = sorted(path.relative_to(site) for path in site.rglob("*.py"))
    (about / "RECORD").write_text("".join(f"{path.as_posix()},,\n" for path in files))


def _counted(instructions: Sequence[int]) -> Counted:
    """Return what a kind of run takes, from the instructions of each size of suite."""
    steps = zip(pairwise(SIZES), pairwise(instructions), strict=True)
    per_test = median((more - few) / (many - some) for (some, many), (few, more) in steps)
    return Counted(per_test, instructions[0] - SIZES[0] * per_test)


def _instructions(variant: Variant, suite: Path, folder: Path, seed: int) -> int:
    """Instructions of one run.

    Args:
        variant: how it is run.
        suite: its tests.
        folder: for what valgrind writes.
        seed: of the hashes of texts.

    Raises:
        RunError: if pytest failed, or valgrind did not count.
    """
    handle, name = tempfile.mkstemp(dir=folder)
    os.close(handle)
    out = Path(name)
    valgrind = (
        "valgrind",
        "--tool=cachegrind",
        "--cache-sim=no",
        f"--cachegrind-out-file={out}",
    )
    began = time.monotonic()
    _run(variant, suite, _environment(folder, seed), valgrind)
    found = _SUMMARY.search(out.read_text())
    if found is None:
        msg = f"{variant.name}: cachegrind has written no summary"
        raise RunError(msg)
    took = time.monotonic() - began
    said = f"{variant.name}, {suite.name}, seed {seed}: {int(found[1]) / _MILLION:,.0f} million"
    print(f"{said} ({took:.0f} s)", file=sys.stderr, flush=True)
    return int(found[1])


def _environment(folder: Path, seed: int) -> dict[str, str]:
    return {
        **{n: v for n, v in os.environ.items() if n != "PYTHONDONTWRITEBYTECODE"},
        "PYTHONHASHSEED": str(seed),
        "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
    }


def _run(
    variant: Variant, suite: Path, environment: dict[str, str], before: Sequence[str]
) -> None:
    """Run pytest without collections of garbage.

    Args:
        variant: how it is run.
        suite: its tests.
        environment: variables, to which the variant's are added.
        before: what the command line begins with.

    Raises:
        RunError: if pytest failed.
    """
    environment = {**environment, **variant.variables(suite)}
    if "PYTHONDONTWRITEBYTECODE" in environment:
        del environment["PYTHONPYCACHEPREFIX"]  # what has been installed has bytecode
    command = [*variant.command(suite), *_OFF]
    done = subprocess.run(
        [*before, command[0], "-c", _PYTEST, *command[3:]],
        cwd=suite,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        msg = f"{variant.name}: exit status {done.returncode}\n{done.stdout[-2000:]}"
        raise RunError(msg)


if __name__ == "__main__":
    sys.exit(main())
