"""Lets the workers of pytest-xdist share the memory, and watches them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from functools import partial
from math import inf
from typing import Any, Final

import pytest

from pytest_memguard.judge.admission import wait_of
from pytest_memguard.plugin.parallel.auto_workers import LEVEL_KEY
from pytest_memguard.plugin.parallel.parallel_report import ParallelReport
from pytest_memguard.plugin.pytest_internals.xdist_queue import call_soon
from pytest_memguard.plugin.pytest_internals.xdist_workers import process_of
from pytest_memguard.recording.highest_sum import HighestSum
from pytest_memguard.recording.tokens import Tokens
from pytest_memguard.report.parallel import waiting_line

INPUT: Final = "memguard_parallel"
"""Name under which a worker gets what it needs to know."""
_PATIENCE: Final = 10.0
_PATIENCE_WITH_V: Final = 1.0
"""Seconds for which a test waits before there is anything to see, without and with -v."""


class ParallelWorkers:
    """Gives each worker its part, and samples what all of them use.

    Args:
        config: pytest's, of the process that starts the workers.
        tokens: this process's part in the memory.
        size: bytes that there are.
        run: number of the run.
        path: the file with all shares.
        recorded: what is recorded of tests.
        report: reports how tests came to start.
    """

    def __init__(
        self,
        config: pytest.Config,
        tokens: Tokens,
        size: int,
        run: int,
        path: str,
        recorded: Mapping[str, Mapping[str, int]],
        report: ParallelReport,
    ) -> None:
        self._config = config
        self._tokens = tokens
        self._size, self._run = size, run
        self._input = json.dumps({"file": path, "run": run, "size": size, "recorded": recorded})
        self._report = report
        self._patience = patience_of(config)
        self._names: dict[int, str] = {}
        self._tests: Sequence[str] = ()
        self._since: dict[tuple[int, int], float] = {}
        self._level = 0
        self._sum: HighestSum | None = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Send a worker the place where memory is shared, if it runs on this machine."""
        if node.gateway.spec.popen:
            node.workerinput[INPUT] = self._input

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodeready(self, node: Any) -> None:
        """Note the name of a worker; begin to sample with the first."""
        self._names[getattr(process_of(node), "pid", 0)] = str(node.gateway.id)
        if self._sum is None:
            self._sum = HighestSum(os.getpid(), self._look)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Note the tests, which all workers have in the same order."""
        self._tests = ids

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self) -> Any:
        """Stop sampling before the report is made; keep what a later run can use."""
        if self._sum is not None:
            self._sum.stop()
            self._report.real = self._sum.highest
            self._report.real_is = self._sum.problem or self._sum.kind
        cache = getattr(self._config, "cache", None)
        if cache is not None and self._level:
            cache.set(LEVEL_KEY, self._level)
        return (yield)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Give everything back."""
        if self._sum is not None:
            self._sum.stop()
        self._tokens.close()

    def _look(self) -> None:
        """Read what workers have, and which of them wait; called by the thread that samples."""
        self._tokens.note_level()
        now, since = time.monotonic(), self._since
        self._since = {}
        shares = self._tokens.look()
        mine = [share for share in shares if share.run == self._run]
        levels = [share.level for share in mine if share.pid in self._names]
        self._level = max(self._level, *levels, 0)
        for share in mine:
            if share.wanted and share.ticket and share.test < len(self._tests):
                key = share.pid, share.test
                began = self._since[key] = since.get(key, now)
                if now - began >= self._patience:
                    self._since[key] = float("inf")
                    line = waiting_line(
                        self._names.get(share.pid, ""),
                        self._tests[share.test],
                        wait_of(share, [other for other in shares if other is not share]),
                        self._size,
                    )
                    call_soon(self._config, partial(write_line, self._config, line))


def patience_of(config: pytest.Config) -> float:
    """Return the seconds for which a test waits before there is anything to see.

    Args:
        config: the configuration of pytest.
    """
    verbosity = config.get_verbosity()
    return inf if verbosity < 0 else _PATIENCE_WITH_V if verbosity else _PATIENCE


def write_line(config: pytest.Config, line: str) -> None:
    """Print a line between those of tests.

    Args:
        config: the configuration of pytest.
        line: the line.
    """
    terminal: Any = config.pluginmanager.getplugin("terminalreporter")
    if terminal is not None:
        terminal.ensure_newline()
        terminal.write_line(f"memguard: {line}")
