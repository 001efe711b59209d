"""Notes which test modules switch the garbage collector off when they are imported."""

from __future__ import annotations

import gc
from collections.abc import Generator

import pytest

SWITCH_OFF = pytest.StashKey[set[str]]()


class CollectorWatch:
    """Watches the collection of tests.

    A suite may run without the collector as a whole, for speed; then garbage is collected
    before every reading. A module that switches it off is to be seen as it is.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._modules = config.stash.setdefault(SWITCH_OFF, set())

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Compare before and after the import."""
        before = gc.isenabled()
        report = yield
        if before and not gc.isenabled():
            self._modules.add(collector.nodeid)
        return report
