"""What a process of ours does first that runs beside the one with the tests."""

from __future__ import annotations

import os


def leave_parent() -> None:  # pragma: no cover  in a process of its own
    """Go on in a child that belongs to no test process: nothing there waits for it."""
    if hasattr(os, "fork"):
        if os.fork():
            os._exit(0)
        os.setsid()
        _allow_many_files()


def _allow_many_files() -> None:  # pragma: no cover  in a process of its own
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
