"""Measures what isolation costs: ``python bench/isolation.py``.

Runs a suite of empty tests with numpy imported, with and without a process for each test, in
turn, and takes the difference per test: of CPU time in each round, and of wall time between the
quickest runs, because other work on the machine only adds to it. A second suite shows how much
the process that runs pytest grows over many isolated tests, and over as many that are not.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from figures import Figure, Table, at_most
from run import machine

PER_TEST = 25
"""Milliseconds that isolation may add to a test with numpy imported."""
GROWTH = 5
"""MiB by which the process of the run may grow over many isolated tests."""
_VARIANTS: tuple[tuple[str, ...], ...] = ((), ("--mem-isolate",), ("--mem-isolate", "--mem"))
_SUITE = """
import {module}, pytest

@pytest.mark.parametrize("n", range({tests}))
def test_it(n):
    pass
"""
_CONFTEST = """
import os, psutil

def pytest_runtestloop(session):
    session.before = psutil.Process().memory_info().rss

def pytest_sessionfinish(session):
    with open(os.environ["GROWTH"], "w") as file:
        file.write(str(psutil.Process().memory_info().rss - session.before))
"""


def main() -> int:
    """Measure, print a table, and return 1 if the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tests", type=int, default=200)
    parser.add_argument("--many", type=int, default=5000)
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory(prefix="memguard-bench-") as name:
        folder = Path(name)
        (folder / "conftest.py").write_text(_CONFTEST, encoding="utf-8")
        rounds = [
            [_of_tests(folder, options.tests, flags) for flags in _VARIANTS]
            for _ in range(options.rounds)
        ]
        figures = [
            figure
            for at, flags in enumerate(_VARIANTS[1:], 1)
            for figure in _figures(" ".join(flags), [(one[0], one[at]) for one in rounds])
        ]
        growth = [
            Figure(
                name=f"{' '.join(flags) or 'not isolated'}, MiB",
                values=[_growth(folder, options.many, flags)],
                target=at_most(GROWTH) if flags else None,
            )
            for flags in _VARIANTS[:2]
            if options.many
        ]
    print(f"\n{Table(f'Isolation: {options.tests} tests with numpy', figures).text()}")
    if growth:
        title = f"Growth of the process of the run: {options.many:,} tests"
        print(f"\n{Table(title, growth).text()}")
    return 1 if any(figure.met is False for figure in (*figures, *growth)) else 0


class Times(NamedTuple):
    """What each test of a run took, in milliseconds."""

    cpu: float
    """Of the processor, in all processes."""
    wall: float
    """By the clock."""


def _figures(name: str, pairs: Sequence[tuple[Times, Times]]) -> list[Figure]:
    """What flags add to a test, from the times without them and with them."""
    is_judged = "--mem " not in f"{name} "
    quickest = [min(times.wall for times in variant) for variant in zip(*pairs, strict=True)]
    return [
        Figure(name=f"{name}: CPU ms", values=[ours.cpu - plain.cpu for plain, ours in pairs]),
        Figure(
            name=f"{name}: wall ms",
            values=[quickest[1] - quickest[0]],
            wall=[ours.wall - plain.wall for plain, ours in pairs],
            target=at_most(PER_TEST) if is_judged else None,
        ),
    ]


def _of_tests(folder: Path, tests: int, flags: Sequence[str]) -> Times:
    """The times of each of so many tests with numpy, without those of the run itself."""
    many, one = (_run(folder, number, flags, "numpy") for number in (tests + 1, 1))
    return Times(*((a - b) * 1000 / tests for a, b in zip(many, one, strict=True)))


def _growth(folder: Path, tests: int, flags: Sequence[str]) -> float:
    """MiB by which the process that runs pytest grows."""
    _run(folder, tests, flags, "os")
    return int((folder / "growth").read_text(encoding="ascii")) / 2**20


def _run(folder: Path, tests: int, flags: Sequence[str], module: str) -> tuple[float, float]:
    """Seconds of the processor and by the clock that a run takes."""
    suite = folder / "test_it.py"
    suite.write_text(_SUITE.format(module=module, tests=tests), encoding="utf-8")
    plugins = ["-p", "pytest_memguard.plugin.hooks", "-p", "no:cacheprovider"]
    environment = {
        **os.environ,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "GROWTH": str(folder / "growth"),
    }
    before, start = _cpu(), time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, *flags, str(suite)],
        check=True,
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    return _cpu() - before, time.perf_counter() - start


def _cpu() -> float:
    """CPU seconds of all processes that have ended, with those that they have waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    sys.exit(main())
