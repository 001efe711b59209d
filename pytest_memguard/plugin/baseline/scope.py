"""Which tests a run could have seen: all there are, or some that the user picked."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import pytest

PART: Final = "memguard_part"
"""Key under which an xdist worker reports why it did not see all tests."""
_PICKS: Final = (
    ("keyword", "-k"),
    ("markexpr", "-m"),
    ("lf", "--lf"),
    ("stepwise", "--sw"),
    ("ignore", "--ignore"),
    ("ignore_glob", "--ignore-glob"),
    ("deselect", "--deselect"),
    ("pyargs", "--pyargs"),
)


class Scope:
    """Watches the collection, here or in the workers.

    Args:
        config: the configuration of pytest.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._part = ""
        self._seen: list[frozenset[str]] = []

    def pytest_deselected(self, items: Iterable[pytest.Item]) -> None:
        """Note that tests were left out."""
        if list(items):
            self._part = "tests were deselected"

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note that some tests may not have been found."""
        if report.failed:
            self._part = f"{report.nodeid or 'the collection'} could not be collected"

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note what is there."""
        output = getattr(self._config, "workeroutput", None)
        if output is not None:
            output[PART] = self._part
        elif not self._config.pluginmanager.hasplugin("dsession"):
            self._see(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Iterable[str]) -> None:
        """Note what a worker has found."""
        self._see(ids)

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_testnodedown(self, node: object) -> None:
        """Note what a worker did not see."""
        self._part = self._part or getattr(node, "workeroutput", {}).get(PART, "")

    def _see(self, ids: Iterable[str]) -> None:
        """Note what one process has found; most find the same, which is kept once."""
        seen = frozenset(ids)
        if seen not in self._seen:
            self._seen.append(seen)

    @property
    def present(self) -> frozenset[str]:
        """Every test that is there, as far as any process has seen."""
        return self._seen[0] if len(self._seen) == 1 else frozenset().union(*self._seen)

    def partial(self) -> str:
        """Why nothing can be said about tests that are not there; empty if it can."""
        picks = [flag for name, flag in _PICKS if self._config.getoption(name, None)]
        if picks:
            return f"{picks[0]} was given"
        if self._part:
            return self._part
        if not self._seen:
            return "no test was collected"
        if len(self._seen) > 1:
            return "the workers of xdist have collected different tests"
        return ""

    def covers(self, nodeid: str) -> bool:
        """Whether a test of this name would have been collected if it were there."""
        root = Path(self._config.rootpath)
        for argument in self._config.args:
            path, _, inner = str(argument).partition("::")
            absolute = Path(self._config.invocation_params.dir, path)
            relative = os.path.relpath(absolute, root).replace(os.sep, "/")
            name = f"{relative}::{inner}" if inner else relative
            if name in {".", nodeid} or nodeid.startswith((f"{name}/", f"{name}::")):
                return True
            if inner and nodeid.startswith(f"{name}["):
                return True
        return False


def is_whole_suite(config: pytest.Config) -> bool:
    """Whether no flag picked some of the tests."""
    picked: Any = config.getoption("keyword") or config.getoption("markexpr")
    source = getattr(config, "args_source", None)
    return not picked and getattr(source, "name", "") != "ARGS"
