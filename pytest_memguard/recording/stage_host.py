"""Who measures the stages of the test that is running."""

from __future__ import annotations

from typing import Any

current: Any = None
"""A `stages.Host`, if the test is measured: that module need not be loaded for it."""


def set_current(host: Any) -> Any:
    """Have stages go to a `stages.Host`, or to none, and return the one before."""
    global current
    before, current = current, host
    return before
