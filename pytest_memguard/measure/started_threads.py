"""Leaves out of hard budgets the stacks of threads that a test starts."""

from __future__ import annotations

import functools
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

from pytest_memguard.sizes import MIB

if TYPE_CHECKING:
    from pytest_memguard.measure.held_levels import HeldLevels

_UNLIMITED: Final = 2 * MIB
"""What the C library reserves for a stack where the limit on stacks is none."""
_BESIDE: Final = 256 << 10
"""Bytes that a thread takes beside its stack: a guard page, and the first of its heap."""


class StartedThreads:
    """Has threads started with room for their stacks, of which little is ever touched.

    Args:
        held: the levels of the test.
    """

    def __init__(self, held: HeldLevels) -> None:
        self._start = start = threading.Thread.start

        @functools.wraps(start)
        def start_with_room(thread: threading.Thread) -> Any:
            return held.leave_out_stack(lambda: start(thread), stack_size() + _BESIDE)

        threading.Thread.start = start_with_room  # type: ignore[assignment,method-assign]

    def close(self) -> None:
        """Let them be started as they were."""
        threading.Thread.start = self._start  # type: ignore[method-assign]


def stack_size() -> int:
    """Return the bytes that are reserved for the stack of a thread."""
    chosen = threading.stack_size()
    if chosen or sys.platform == "win32":
        return chosen
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_STACK)
    return _UNLIMITED if soft == resource.RLIM_INFINITY else soft
