"""Workers of pytest-xdist: what it and execnet keep to themselves."""

from __future__ import annotations

from typing import Any

import pytest


def process_of(node: Any) -> Any:
    """Return the `subprocess.Popen` of a worker, or what stands for it; ``None`` if none does.

    Args:
        node: xdist's controller of the worker.
    """
    return getattr(getattr(node.gateway, "_io", None), "popen", None)


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
