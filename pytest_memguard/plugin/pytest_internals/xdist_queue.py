"""Has the main thread of pytest-xdist's controller call something, between two events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


def call_soon(config: pytest.Config, function: Callable[[], None]) -> None:
    """Have a function called where what pytest prints is not disturbed.

    Args:
        config: pytest's, of the process that starts the workers.
        function: takes nothing; it is not called if the run ends before.
    """
    session: Any = config.pluginmanager.getplugin("dsession")
    queue = getattr(session, "queue", None)
    if queue is not None:
        session.worker_memguard_call = _call
        queue.put(("memguard_call", {"function": function}))


def _call(function: Callable[[], None]) -> None:
    function()
