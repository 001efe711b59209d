"""The number of workers of ``-n auto``, by memory as well as by cores."""

from __future__ import annotations

import os
from typing import Final

import pytest

from pytest_memguard.judge.worker_number import workers_that_fit
from pytest_memguard.plugin.keys import WORKERS_LINE
from pytest_memguard.plugin.parallel.recorded_needs import recorded_needs
from pytest_memguard.plugin.parallel.shared_memory import shared_size
from pytest_memguard.plugin.pytest_internals.cached_values import cached_value
from pytest_memguard.probes.own_memory import own_memory_of
from pytest_memguard.sizes import MIB, format_size

LEVEL_KEY: Final = "memguard/worker-level"
"""Name of the value in pytest's cache with the highest level of a worker."""
_CHOSEN: Final = "PYTEST_XDIST_AUTO_NUM_WORKERS"
_LEAST_LEVEL: Final = 32 * MIB


def number_of_workers(config: pytest.Config, cores: int) -> int:
    """Return how many workers to start.

    Args:
        config: the configuration of pytest.
        cores: how many there would be without regard to memory.
    """
    if os.environ.get(_CHOSEN):
        config.stash[WORKERS_LINE] = f"{cores} workers, as {_CHOSEN} says"
        return cores
    recorded = recorded_needs(config)
    peaks: dict[str, int] = {}
    for sizes in reversed(list(recorded.sizes.values())):
        peaks |= sizes
    free = shared_size(config, ()).size
    level, how = _level(config)
    number, each = workers_that_fit(cores, free, level, peaks.values())
    numbers = f"{format_size(free)} free, {format_size(each)} each ({how})"
    if not peaks:
        numbers += ", peaks of tests are not known"
    few = f" instead of {cores}" if number < cores else ""
    noun = "worker" if number == 1 else "workers"
    config.stash[WORKERS_LINE] = f"{number} {noun}{few}: {numbers}"
    return number


def _level(config: pytest.Config) -> tuple[int, str]:
    """Return what a worker holds between tests, and how that is known."""
    stored = cached_value(config, LEVEL_KEY)
    if isinstance(stored, int) and stored > 0:
        return stored, "recorded"
    return max(_LEAST_LEVEL, own_memory_of(os.getpid()) or 0), "estimated"
