"""Measures what pytest-memguard costs: ``python bench/run.py``."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

import hard
import idle
import memory
import overhead
import slowdown
from figures import Table
from runs import RunError
from scale import FULL, QUICK, Scale

BENCHMARKS: Mapping[str, Callable[[Path, Scale], Iterator[Table]]] = {
    "overhead": overhead.tables,
    "idle": idle.tables,
    "hard": hard.tables,
    "slowdown": slowdown.tables,
    "memory": memory.tables,
}
_SHOWN = ("pytest", "pytest-memguard", "pytest-memray", "memray", "psutil")


def main() -> int:
    """Run what was asked for, and print a table as soon as it is known."""
    options = arguments()
    print(machine())
    if options.quick:
        print("A smoke run: everything is exercised, no figure means anything.")
    try:
        for name in options.only or BENCHMARKS:
            measure(name, quick=options.quick)
    except RunError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"\n{load()} at the end")
    return 0


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only show that it works")
    parser.add_argument(
        "--only", action="append", choices=BENCHMARKS, help="one of them (repeatable)"
    )
    return parser.parse_args()


def measure(name: str, *, quick: bool) -> None:
    """Run one benchmark in a folder that goes away with it."""
    scale = QUICK if quick else FULL
    with tempfile.TemporaryDirectory(prefix="memguard-bench-") as folder:
        for table in BENCHMARKS[name](Path(folder).resolve(), scale):
            print(f"\n{table.text(judged=not quick)}", flush=True)


def machine() -> str:
    """Where these figures come from."""
    packages = ", ".join(f"{name} {version(name)}" for name in _SHOWN)
    where = f"{platform.python_implementation()} {platform.python_version()}"
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    place = f"{where}, {system}, {os.cpu_count()} cores"
    return f"{place}\n{packages}\n{load()} at the start"


def load() -> str:
    """How busy the machine is."""
    return f"load average {os.getloadavg()[0]:.2f}"


if __name__ == "__main__":
    sys.exit(main())
