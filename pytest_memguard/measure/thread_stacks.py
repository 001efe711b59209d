"""Leaves out of hard budgets what threads reserve for their stacks."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from pytest_memguard.sizes import MIB

if TYPE_CHECKING:
    from pytest_memguard.measure.hard_limit import HardLimits

_STARTS: Final = ("_start_new_thread", "_start_joinable_thread")
"""What `threading.Thread.start` calls; the second one from Python 3.13 on."""
_UNLIMITED: Final = 2 * MIB
"""What glibc takes where stacks may be as large as they like."""


def stack_size() -> int:
    """Return the bytes that a new thread reserves for its stack."""
    if sys.platform != "linux":
        return 0
    import resource  # not on Windows

    soft, _ = resource.getrlimit(resource.RLIMIT_STACK)
    usual = _UNLIMITED if soft == resource.RLIM_INFINITY else soft
    return threading.stack_size() or usual


class ThreadStacks:
    """Has room made for the stack of each thread that a test starts.

    Args:
        limits: hold the process to the budgets of the test.
    """

    def __init__(self, limits: HardLimits) -> None:
        self._replaced = [
            (name, getattr(threading, name)) for name in _STARTS if hasattr(threading, name)
        ]
        for name, start in self._replaced:
            setattr(threading, name, _with_room(start, limits))

    def close(self) -> None:
        """Let threads be started as they were."""
        for name, start in self._replaced:
            setattr(threading, name, start)


def _with_room(start: Callable[..., Any], limits: HardLimits) -> Callable[..., Any]:
    @functools.wraps(start)
    def start_with_room(*args: Any, **kwargs: Any) -> Any:
        limits.make_room()
        return start(*args, **kwargs)

    return start_with_room
