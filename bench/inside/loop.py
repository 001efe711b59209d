"""Notes CPU and wall time of all tests but the first, without start-up and summary."""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Generator
from pathlib import Path
from statistics import median

import pytest


class Loop:
    """The times at which every test began."""

    def __init__(self) -> None:
        self.cpu: list[float] = []
        self.wall: list[float] = []

    def note(self) -> None:
        """Note that a test begins, or that the last one is over."""
        self.cpu.append(time.process_time())
        self.wall.append(time.perf_counter())


LOOP = Loop()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logstart() -> None:
    """Take the time."""
    LOOP.note()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtestloop() -> Generator[None, object, object]:
    """Write the sums down when the last test is over."""
    result = yield
    LOOP.note()
    times = LOOP.cpu[1:]
    steps = [after - before for before, after in itertools.pairwise(times)]
    notes = {
        "cpu": times[-1] - times[0],
        "wall": LOOP.wall[-1] - LOOP.wall[1],
        "typical": median(steps),
    }
    Path(os.environ["MEMGUARD_BENCH_NOTES"]).write_text(json.dumps(notes))
    return result
