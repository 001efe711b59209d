"""Measures what isolation costs: ``python bench/isolation.py``.

Runs a suite of empty tests with numpy imported, with and without a process for each test, and
takes the difference of wall time per test. A second suite shows how much the process that runs
pytest grows over many isolated tests, and over as many that are not isolated.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from figures import Figure, Table, at_most
from run import machine

PER_TEST = 25
"""Milliseconds that isolation may add to a test with numpy imported."""
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
        figures = [
            Figure(
                name=f"{flags[-1]}, ms per test",
                values=[_added(folder, options.tests, flags) for _ in range(options.rounds)],
                target=at_most(PER_TEST) if len(flags) == 1 else None,
            )
            for flags in (["--mem-isolate"], ["--mem-isolate", "--mem"])
        ]
        growth = [
            Figure(name=text, values=[_growth(folder, options.many, flags)])
            for text, flags in (("not isolated, MiB", []), ("isolated, MiB", ["--mem-isolate"]))
        ]
    print(f"\n{Table(f'Isolation: {options.tests} tests with numpy', figures).text()}")
    title = f"Growth of the process of the run: {options.many:,} tests"
    print(f"\n{Table(title, growth).text()}")
    return 0 if all(figure.met for figure in figures) else 1


def _added(folder: Path, tests: int, flags: list[str]) -> float:
    """Milliseconds that flags add to each of some tests with numpy."""
    return (_seconds(folder, tests, flags) - _seconds(folder, tests, [])) * 1000 / tests


def _seconds(folder: Path, tests: int, flags: list[str], module: str = "numpy") -> float:
    """Seconds of a run of so many tests, less those of a run of one."""
    return _run(folder, tests, flags, module) - _run(folder, 1, flags, module)


def _growth(folder: Path, tests: int, flags: list[str]) -> float:
    """MiB by which the process that runs pytest grows."""
    _run(folder, tests, flags, "os")
    return int((folder / "growth").read_text(encoding="ascii")) / 2**20


def _run(folder: Path, tests: int, flags: list[str], module: str) -> float:
    suite = folder / "test_it.py"
    suite.write_text(_SUITE.format(module=module, tests=tests), encoding="utf-8")
    plugins = ["-p", "pytest_memguard.plugin.hooks", "-p", "no:cacheprovider"]
    environment = {
        **os.environ,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "GROWTH": str(folder / "growth"),
    }
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, *flags, str(suite)],
        check=True,
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
