"""How long a test may take by the word of pytest-timeout."""

from __future__ import annotations

import contextlib
import os
import time
from typing import Any

import pytest


def seconds_left(item: pytest.Item, started: float) -> float | None:
    """Seconds until pytest-timeout would end the test; ``None`` where it is not in use.

    Args:
        item: the test.
        started: when its protocol began, by `time.monotonic`.
    """
    manager = item.config.pluginmanager
    if not (manager.hasplugin("timeout") or manager.hasplugin("pytest_timeout")):
        return None
    mark = item.get_closest_marker("timeout")
    value: Any = None
    if mark is not None:
        value = mark.args[0] if mark.args else mark.kwargs.get("timeout")
    for source in (
        lambda: item.config.getoption("timeout", None),
        lambda: os.environ.get("PYTEST_TIMEOUT"),
        lambda: item.config.getini("timeout"),
    ):
        if value is None or value == "":
            with contextlib.suppress(ValueError, KeyError):
                value = source()
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        return None
    return seconds - (time.monotonic() - started) if seconds > 0 else None
