"""Fills a cache that claims a limit, to see whether it keeps to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pytest_memguard.attribution.values import length_of
from pytest_memguard.clock import Clock
from pytest_memguard.recording.limits import Limits

if TYPE_CHECKING:
    from pytest_memguard.recording.causes import Cause

_HARMLESS: Final = 2
"""Filling a cache may take one part in so many of the memory and of the time limit."""
_BEYOND: Final = 1.1
"""By what factor a cache is filled beyond its limit, to see whether it enforces it."""
_TIDY: Final = 16
"""Calls after which caches are emptied and garbage is collected while a cache is filled."""


def keeps_limit(
    cause: Cause,
    call: Callable[[], None],
    made: int,
    limits: Limits,
    settle: Callable[[], None],
) -> bool:
    """Return whether a cache keeps to its limit; if only its name says so, fill it and see.

    If filling it would take too many calls or too much memory, its name is trusted.

    Args:
        cause: the cache.
        call: makes one call.
        made: number of calls made so far.
        limits: the limits of the check.
        settle: empties caches and collects garbage.

    Raises:
        CallFailed: if a call failed.
    """
    path, container = cause.path, cause.holding.growing_container
    if path is None or path.enforced or path.owner or not cause.holding.gained:
        return True
    gained = cause.holding.gained / cause.calls
    missing = (path.limit - length_of(container)) / gained
    calls = round(missing * _BEYOND) + 1
    eaten = calls * cause.per_call.get("USS", 0.0)
    if made + calls > limits.calls or eaten > limits.memory / _HARMLESS:
        return True
    end = Clock.seconds() + limits.seconds / _HARMLESS
    for number in range(calls):
        call()
        if number % _TIDY == 0:
            settle()
            if Clock.seconds() > end:
                return True
    return length_of(container) <= path.limit
