"""Tests of how many workers fit into the memory."""

from __future__ import annotations

import pytest

from pytest_memguard.judge.worker_number import workers_that_fit


@pytest.mark.parametrize(
    ("cores", "free", "level", "peaks", "workers", "each"),
    [
        pytest.param(12, 1000, 10, [], 12, 10, id="as-many-as-cores"),
        pytest.param(12, 100, 10, [], 10, 10, id="levels-alone"),
        pytest.param(12, 154, 10, [20] * 50, 5, 30, id="levels-and-peaks"),
        pytest.param(8, 180, 10, [100, 1, 1, 1], 7, 24, id="one-large-peak-meets-small-ones"),
        pytest.param(8, 183, 10, [100, 1, 1, 1], 8, 22, id="as-many-as-cores-with-peaks"),
        pytest.param(4, 5, 10, [100], 1, 110, id="never-less-than-one"),
        pytest.param(0, 5, 10, [], 1, 10, id="no-core"),
    ],
)
def test_workers_that_fit(cores, free, level, peaks, workers, each) -> None:
    """Levels of all workers, and the highest peaks that can meet, fit into what is free."""
    assert (workers, each) == workers_that_fit(cores, free, level, peaks)
