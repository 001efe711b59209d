"""Notes CPU time at each quarter of a run, and resident memory at its end."""

from __future__ import annotations

import ctypes
import gc
import json
import os
import time
from collections.abc import Generator
from pathlib import Path

import pytest


class Quarters:
    """CPU time when a quarter of the tests, half of them and so on have been run."""

    def __init__(self) -> None:
        self.tests = 0
        self.run = 0
        self.times: list[float] = []

    def count(self) -> None:
        """Take the time if another quarter is over."""
        if self.run * 4 % self.tests == 0:
            self.times.append(time.process_time())
        self.run += 1


QUARTERS = Quarters()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Learn how many tests there are."""
    QUARTERS.tests = len(session.items)


def pytest_runtest_logstart() -> None:
    """Count a test that begins."""
    QUARTERS.count()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish() -> Generator[None, object, object]:
    """Note what there is to note when the summary is out."""
    QUARTERS.count()
    result = yield
    notes = {"times": QUARTERS.times, "resident": settled_resident()}
    Path(os.environ["MEMGUARD_BENCH_NOTES"]).write_text(json.dumps(notes))
    return result


def settled_resident() -> int:
    """Resident bytes when garbage is collected and free pages are given back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")
