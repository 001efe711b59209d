"""Runs a test once more with memray around its call; only in a child that ends afterwards."""

from __future__ import annotations

import gc
from collections.abc import Generator, Sequence

import pytest

from pytest_memguard.attribution.lines import sites_at_peak
from pytest_memguard.measure.heap_judging import SITES
from pytest_memguard.model.measurements import CallSite
from pytest_memguard.plugin.pytest_internals.running import runtestprotocol
from pytest_memguard.probes.heap import HeapFile, HeapTracker, TrackerFolder


class TracedCall:
    """Has memray follow the call of one test.

    Args:
        folder: makes memray's file.

    Attributes:
        file: what memray wrote; ``None`` if the test did not get to its call.
    """

    def __init__(self, folder: TrackerFolder) -> None:
        self._folder = folder
        self.file: HeapFile | None = None

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        """Follow what the test itself does, and what no other plugin does around it."""
        tracker = HeapTracker(self._folder)
        try:
            return (yield)
        finally:
            self.file = tracker.stop()


def lines_of_call(item: pytest.Item, calls: int, folder: TrackerFolder) -> Sequence[CallSite]:
    """Run a test, and return the lines that hold most at the peak of its last call.

    Args:
        item: the test.
        calls: how often it is run.
        folder: makes memray's file.
    """
    for _ in range(calls - 1):
        runtestprotocol(item, log=False, nextitem=None)
    gc.collect()
    traced = TracedCall(folder)
    item.config.pluginmanager.register(traced)
    runtestprotocol(item, log=False, nextitem=None)
    if traced.file is None:
        return ()
    found = sites_at_peak(traced.file.at_peak(), SITES)
    traced.file.close()
    return found
