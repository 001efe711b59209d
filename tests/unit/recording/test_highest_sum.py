"""Tests of the highest sum of what processes use, with real processes."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from pytest_memguard.recording.highest_sum import HighestSum
from pytest_memguard.sizes import MIB

WORK = """
import sys
block = bytearray(b"x") * (40 << 20)
print("ready", flush=True)
sys.stdin.read(1)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="PSS is read on Linux")
def test_highest_sum() -> None:
    """The sum has what a process and its children use together, at its highest."""
    times: list[float] = []
    parent = f"""
import subprocess, sys
work = {WORK!r}
child = subprocess.Popen([sys.executable, "-c", work], stdin=0, stdout=subprocess.PIPE)
child.stdout.readline()
exec(work)
child.wait()
"""
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        found = HighestSum(process.pid, lambda: times.append(time.monotonic()))
        process.stdout.readline()
        end = time.monotonic() + 20
        while found.highest < 80 * MIB and time.monotonic() < end:
            time.sleep(0.01)
        process.stdin.write(b"xx")
        process.stdin.close()
        process.wait()
        found.stop()
    assert 80 * MIB <= found.highest < 140 * MIB
    assert found.kind == "PSS"
    assert times


def test_process_that_has_ended() -> None:
    """If nothing can be read, the reason is reported."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        found = HighestSum(process.pid, lambda: None)
        found.stop()
    assert not found.highest
    assert found.problem.startswith("the processes can")
