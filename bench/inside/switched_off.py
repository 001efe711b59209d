"""Loaded into a run of pytest: switches off one piece of what makes readings reproducible."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any


def _nothing(*_: object) -> None:
    """Do nothing."""


def _free_chunks() -> None:
    from pytest_memguard.allocator.free_chunks import FreeChunks

    FreeChunks.reserve = _nothing  # type: ignore[method-assign]


def _thread_cache() -> None:
    from pytest_memguard.recording import settled_signals

    settled_signals.fill_tcache = settled_signals.fill_tcache_of_threads = lambda: None


def _reading_of_thread_cache() -> None:
    from pytest_memguard.probes import counters

    counters.thread_cache = lambda: None


def _pinned_threshold() -> None:
    from pytest_memguard.allocator import mmap_threshold

    mmap_threshold.pin_mmap_threshold = lambda: True


def _raised_threshold() -> None:
    from pytest_memguard.measure import instruments

    instruments.give_back_large_blocks = lambda: False


def _permanent_filler() -> None:
    from pytest_memguard.allocator.slack_estimator import SlackEstimator

    bound = SlackEstimator.bound

    def unfilled(self: Any, level: int, tolerance: int, expensive: float, **_: Any) -> int:
        return bound(self, level, tolerance, expensive, fill=False)

    SlackEstimator.bound = unfilled  # type: ignore[method-assign]


def _temporary_filler() -> None:
    from pytest_memguard.allocator.slack_estimator import SlackEstimator

    def unfilled(*values: Any) -> int:
        return int(values[2])  # the bound before

    SlackEstimator.fill_temporarily = unfilled  # type: ignore[method-assign]
    SlackEstimator.fill_more = unfilled  # type: ignore[method-assign]


def _taken_slack() -> None:
    from pytest_memguard.measure.instruments import Instruments

    Instruments.take_slack = _nothing  # type: ignore[method-assign]


PIECES: dict[str, Callable[[], None]] = {
    "free chunks": _free_chunks,
    "thread cache": _thread_cache,
    "reading of the thread cache": _reading_of_thread_cache,
    "pinned threshold": _pinned_threshold,
    "threshold of 1 MiB": _raised_threshold,
    "permanent filler": _permanent_filler,
    "temporary filler": _temporary_filler,
    "taken slack": _taken_slack,
}
"""By name, what switches a piece off in this process."""

for _name in filter(None, os.environ.get("MEMGUARD_BENCH_WITHOUT", "").split(",")):
    PIECES[_name]()
