"""Takes results that come with reports from other processes: workers, and forked children."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import ClassVar

import pytest

from pytest_memguard.plugin.options import distributes


class ForeignReports:
    """Takes what another process attached to the report of a test.

    pytest calls this three times for each test, so it is registered only in runs in which a
    report can come from elsewhere.

    Args:
        take: takes a report that has something attached.
    """

    def __init__(self, take: Callable[[pytest.TestReport], None]) -> None:
        self._take = take

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what is attached."""
        if "memguard" in report.__dict__:
            self._take(report)


class UntilFork:
    """Registers `ForeignReports` where this process has workers, or once it has forked.

    Args:
        config: the configuration of pytest.
        take: takes a report that has something attached.
    """

    _waiting: ClassVar[weakref.WeakSet[UntilFork]] = weakref.WeakSet()
    _is_called = False

    def __init__(
        self, config: pytest.Config, take: Callable[[pytest.TestReport], None]
    ) -> None:
        self._manager = config.pluginmanager
        self._take = take
        self._pid = os.getpid()
        if not hasattr(os, "register_at_fork") or distributes(config):
            self._register()
            return
        UntilFork._waiting.add(self)
        if not UntilFork._is_called:
            UntilFork._is_called = True
            os.register_at_fork(after_in_parent=_forked)

    @classmethod
    def forked(cls) -> None:
        """Register where that was waited for."""
        waiting = list(cls._waiting)
        cls._waiting.clear()
        for one in waiting:
            # in a child that forks children, this would take what they have to hand over
            if one._pid == os.getpid():  # noqa: SLF001  one of this class
                one._register()  # noqa: SLF001  one of this class

    def _register(self) -> None:
        self._manager.register(ForeignReports(self._take), "memguard-foreign-reports")


def _forked() -> None:
    UntilFork.forked()
