"""Holds the object that measures the stages of the running test."""

from __future__ import annotations

from typing import Any

current: Any = None
"""A `stages.Host` if the test is measured; that module need not be loaded to set it."""


limits: Any = None
"""A `hard_limit.HardLimits` if stages may have hard budgets."""


def set_limits(hard_limits: Any) -> Any:
    """Hold stages by a `hard_limit.HardLimits`, or by none, and return the one before."""
    global limits
    before, limits = limits, hard_limits
    return before


def set_current(host: Any) -> Any:
    """Send stages to a `stages.Host`, or to none, and return the one before."""
    global current
    before, current = current, host
    return before
