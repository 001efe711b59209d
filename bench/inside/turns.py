"""Short tests that do little but allocate, half of them with a budget."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from allocate import allocate

REPEATS = 3
PAIRS = 2

WITHOUT, WITH = "without", "with"
BUDGETED = pytest.param(WITH, marks=pytest.mark.mem_budget(100))
TURNS = [*(WITHOUT, BUDGETED, BUDGETED, WITHOUT) * (PAIRS // 2)]
SECONDS: dict[str, list[float]] = {WITHOUT: [], WITH: []}


@pytest.mark.parametrize("budget", TURNS)
def test_turn(budget: str) -> None:
    """Note the CPU time of the work alone."""
    start = time.process_time()
    allocate(REPEATS)
    SECONDS[budget].append(time.process_time() - start)


def test_last() -> None:
    """Write down what the others noted."""
    Path(os.environ["MEMGUARD_BENCH_NOTES"]).write_text(json.dumps(SECONDS))
