"""Holds the object that measures the stages of the running test."""

from __future__ import annotations

from typing import Any

current: Any = None
"""A `stages.Host` if the test is measured; that module need not be loaded to set it."""


def set_current(host: Any) -> Any:
    """Send stages to a `stages.Host`, or to none, and return the one before."""
    global current
    before, current = current, host
    return before
