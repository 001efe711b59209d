"""Runs a single test in a worker of pytest-xdist of its own, when all others have ended."""

from __future__ import annotations

from collections.abc import Sequence
from queue import Empty
from typing import Any, Final

import pytest

_PAUSE_SECONDS: Final = 2.0
_SECONDS_TO_END: Final = 10.0


class WorkerAlone:
    """A worker that runs one test; pytest-xdist takes it for its scheduler of tests.

    Args:
        config: pytest's, of the process that starts the workers.
        nodeid: the test.
        like: xdist's controller of a worker of the same kind.

    Attributes:
        config: the configuration of pytest.
        node: xdist's controller of the worker.
        problem: why the test did not run.
    """

    collection_is_completed: Final = True
    has_pending: Final = True
    tests_finished: Final = False

    def __init__(self, config: pytest.Config, nodeid: str, like: Any) -> None:
        self.problem = "its worker did not start"
        self.nodes: list[Any] = []
        self._nodeid = nodeid
        self.config = config
        distribution: Any = config.pluginmanager.get_plugin("dsession")
        self._distribution = distribution
        distribution.nodemanager.group.terminate(_SECONDS_TO_END)  # they keep their memory
        self._distribution.sched = self
        self._distribution.shuttingdown = False
        self.node: Any = self._distribution._clone_node(like)

    def run(self) -> None:
        """Hand over what the worker reports, until it has ended."""
        while self.node in self._distribution._active_nodes:
            try:
                name, arguments = self._distribution.queue.get(timeout=_PAUSE_SECONDS)
            except Empty:
                continue
            if name == "errordown":  # xdist would start another worker in its place
                self._lost(**arguments)
            else:
                getattr(self._distribution, f"worker_{name}")(**arguments)

    def _lost(self, node: Any, error: object) -> None:
        self._distribution._active_nodes.discard(node)
        self.config.hook.pytest_testnodedown(node=node, error=error)
        if not self.problem:
            self._distribution.handle_crashitem(self._nodeid, node)

    # What pytest-xdist asks a scheduler for

    def add_node(self, node: Any) -> None:
        """Take the worker, which has begun to collect tests."""
        self.nodes.append(node)
        self.problem = "its worker ended before it had collected the test"

    def add_node_collection(self, node: Any, collection: Sequence[str]) -> None:
        """Have the test run, and the worker end."""
        if self._nodeid in collection:
            node.send_runtest_some([collection.index(self._nodeid)])
            self.problem = ""
        else:
            self.problem = "its worker did not collect it"
        node.shutdown()

    def schedule(self) -> None:
        """Do nothing: the test runs."""

    def mark_test_pending(self, item: str) -> None:
        """Refuse to run it again, as pytest-rerunfailures may ask.

        Raises:
            NotImplementedError: as schedulers do that cannot.
        """
        raise NotImplementedError

    def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
        """Do nothing: the worker ends by itself."""

    def remove_node(self, node: Any) -> None:
        """Forget the worker."""
        self.nodes.remove(node)


def count_workers(config: pytest.Config) -> int:
    """Return how many workers the run has; those that have ended still keep their memory.

    Args:
        config: pytest's, of the process that starts the workers.
    """
    distribution: Any = config.pluginmanager.get_plugin("dsession")
    return len(distribution.nodemanager.specs)


def is_stopping(config: pytest.Config) -> bool:
    """Return whether pytest-xdist starts no more tests, as after ``--maxfail``.

    Args:
        config: pytest's, of the process that starts the workers.
    """
    distribution: Any = config.pluginmanager.get_plugin("dsession")
    return bool(distribution.shouldstop)
