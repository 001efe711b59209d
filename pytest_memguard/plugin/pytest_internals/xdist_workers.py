"""Workers of pytest-xdist: what it and execnet keep to themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest


def process_of(node: Any) -> Any:
    """Return the `subprocess.Popen` of a worker, or what stands for it; ``None`` if none does.

    Args:
        node: xdist's controller of the worker.
    """
    return getattr(getattr(node.gateway, "_io", None), "popen", None)


def names_by_pid(nodes: Sequence[Any]) -> dict[int, str]:
    """Return the names of workers of this machine by the numbers of their processes.

    Args:
        nodes: xdist's controllers of the workers.
    """
    processes = ((process_of(node), node.gateway.id) for node in nodes)
    return {process.pid: name for process, name in processes if process is not None}


def stop_distribution(config: pytest.Config, reason: str) -> None:
    """Let pytest-xdist start no more tests, and no worker in place of one that is lost.

    Args:
        config: pytest's, of the process that starts the workers.
        reason: why.
    """
    distribution: Any = config.pluginmanager.get_plugin("dsession")
    if distribution is not None:
        distribution.shouldstop = reason
        distribution._max_worker_restart = 0
