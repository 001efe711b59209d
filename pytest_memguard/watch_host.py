"""Holds what takes the recordings that the running test makes of other programs."""

from __future__ import annotations

from typing import Any

current: Any = None
"""A function that takes a `WatchReading`; ``None`` if nothing does."""


def set_current(host: Any) -> Any:
    """Send recordings to a function, or to none, and return the one before."""
    global current
    before, current = current, host
    return before
