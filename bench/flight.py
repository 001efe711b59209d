"""Measures what flight records cost: ``python bench/flight.py``.

Both hooks around a test are called as pytest calls them, many times, with the plugin that
records and without. CPU time of the process. The start of a worker is that of an interpreter
that has loaded pytest and this plugin's options, as all have.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from figures import Figure, Table, at_most
from run import machine

from pytest_memguard.plugin.lost.flight_log import FlightLog
from pytest_memguard.recording.flight_recorder import FlightRecorder

PER_TEST = 20
"""Microseconds that a record may take for each test."""
TESTS = 5_000
"""Tests of a round: more than fit into a record, so it is shortened several times."""
_START = """
import sys, time, pytest
import pytest_memguard.plugin.hooks
started = time.process_time()
from pathlib import Path
from pytest_memguard.plugin.lost.flight_log import FlightLog
from pytest_memguard.recording.flight_recorder import FlightRecorder
FlightLog(FlightRecorder(Path(sys.argv[1]), "gw0"), None)
print(time.process_time() - started)
"""


def main() -> int:
    """Measure, print a table, and return 1 if the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds: int = parser.parse_args().rounds
    print(machine())
    with tempfile.TemporaryDirectory(prefix="memguard-bench-") as folder:
        per_test = [_per_test(Path(folder)) for _ in range(rounds)]
        start = [_start(Path(folder)) for _ in range(rounds)]
    figures = [
        Figure(name="record, us per test", values=per_test, target=at_most(PER_TEST)),
        Figure(name="start of a worker, ms", values=start),
    ]
    print(f"\n{Table(f'Flight records: {TESTS:,} tests', figures).text()}")
    return 0 if figures[0].met else 1


def _per_test(folder: Path) -> float:
    """Microseconds that a record adds to the hooks around a test."""
    manager = pytest.PytestPluginManager()

    def run() -> None:
        for number in range(TESTS):
            nodeid = f"tests/unit/storage/test_files.py::test_name[{number}]"
            manager.hook.pytest_runtest_logstart(nodeid=nodeid, location=("", 0, ""))
            manager.hook.pytest_runtest_logfinish(nodeid=nodeid, location=("", 0, ""))

    plain = _cpu(run)
    recorder = FlightRecorder(folder / "gw0.flight", "gw0")
    manager.register(FlightLog(recorder, None))
    try:
        return (_cpu(run) - plain) / TESTS * 1e6
    finally:
        recorder.close()


def _cpu(run: Callable[[], None]) -> float:
    started = time.process_time()
    run()
    return time.process_time() - started


def _start(folder: Path) -> float:
    """Milliseconds that it takes a worker to begin its record."""
    command = [sys.executable, "-c", _START, str(folder / "start.flight")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout) * 1e3


if __name__ == "__main__":
    sys.exit(main())
