"""One long test that does little but allocate, and notes how long it took."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from allocate import allocate

REPEATS = 1


def test_work() -> None:
    """Note CPU and wall time of the work alone."""
    cpu, wall = time.process_time(), time.perf_counter()
    allocate(REPEATS)
    notes = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
    Path(os.environ["MEMGUARD_BENCH_NOTES"]).write_text(json.dumps(notes))
