"""Tests of what no block explains: to which line it is attributed."""

from __future__ import annotations

import sys

import pytest

from pytest_memguard.model.leaks import Rate, Verdict
from pytest_memguard.probes.signal_readers import heap_used
from pytest_memguard.probes.thread_cache import malloc_and_free, thread_cache
from pytest_memguard.recording.unexplained import watched_part
from tests.support.fresh_process import fresh

SIZE = 720


def _left_per_call() -> list[float] | None:
    """Bytes that each line leaves per call, most of them in blocks that were freed before."""
    if thread_cache() is None or heap_used() is None:
        return None
    take, free = malloc_and_free()

    def call() -> None:
        take(SIZE)

    for block in [take(SIZE) for _ in range(7)]:
        free(block)
    rate = Rate(signal="C heap", per_call=SIZE, low=SIZE, high=SIZE)
    verdict = Verdict(state="leaking", calls=100, rates=(rate,))
    part = watched_part(verdict, call, lambda: None)
    return [
        size / part.diagnosis.calls for line in part.diagnosis.lines for _, size in line.left
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's thread cache")
def test_blocks_from_the_thread_cache() -> None:
    """A line that loses blocks has them, though they counted as in use in the cache."""
    left = fresh(_left_per_call)
    if left is None:
        pytest.skip("the thread cache cannot be read")
    assert left == [pytest.approx(SIZE, abs=64)]
