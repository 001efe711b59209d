"""Tests of readings beside a thread cache, with the real C heap of processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SIZES = range(512, 1025, 16)
EACH = 7
# prepended to every program
TOOLS = f"""
import json
from pytest_memguard.probes import counters
from pytest_memguard.probes.counters import Counters
from pytest_memguard.recording.settled_signals import SettledSignals

SIZES, EACH = {SIZES!r}, {EACH}
if {{fills}}:
    counters.thread_cache = lambda: None
reader = SettledSignals(Counters(resources=False))
column = reader.signals.index("C heap") if "C heap" in reader.signals else None
before, after = reader.row(), reader.row()

def grown():
    reader.read(after, settle=True)
    return after[column] - before[column]

if column is not None:
    reader.read(before, settle=True)
    reader.read(before, settle=True)
"""


ways = pytest.mark.parametrize(
    "fills", [pytest.param(False, id="read"), pytest.param(True, id="filled")]
)


def numbers_of(program, *, fills) -> list[int]:
    """The numbers that a program prints where the cache is read, or filled before readings."""
    code = TOOLS.replace("{fills}", str(fills)) + program
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    numbers: list[int] = json.loads(done.stdout)
    if numbers == []:
        pytest.skip("the C library has no statistics")
    return numbers


@ways
def test_cached_blocks_count_once_they_are_used(fills) -> None:
    """Memory that takes blocks from the thread cache is seen with its whole size."""
    used, freed = numbers_of(
        """
kept = column is not None and [bytearray(size) for size in SIZES for _ in range(EACH)]
numbers = [grown()] if kept else []
del kept
numbers += [grown()] if numbers else []
print(json.dumps(numbers))
""",
        fills=fills,
    )
    assert used >= EACH * sum(SIZES)
    assert abs(freed) < (sum(SIZES) if fills else 2048)


@ways
def test_blocks_in_the_thread_cache_are_no_growth(fills) -> None:
    """A call that leaves one freed block of a size more behind each time adds nothing."""
    numbers = numbers_of(
        """
numbers = []
for more in range(1, EACH + 1) if column is not None else ():
    for size in SIZES:
        [bytearray(size) for _ in range(more)]
    numbers.append(grown())
print(json.dumps(numbers))
""",
        fills=fills,
    )
    assert max(map(abs, numbers)) < 2048
