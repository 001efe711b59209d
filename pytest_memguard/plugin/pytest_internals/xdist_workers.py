"""The process of a worker of pytest-xdist, which execnet keeps to itself."""

from __future__ import annotations

from typing import Any


def process_of(node: Any) -> Any:
    """Return the `subprocess.Popen` of a worker, or what stands for it; ``None`` if none does.

    Args:
        node: xdist's controller of the worker.
    """
    return getattr(getattr(node.gateway, "_io", None), "popen", None)
