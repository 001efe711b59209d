"""Notes every MemoryError that is raised while a test runs (Python 3.12 and later)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import CodeType
from typing import Any, Final, TypeAlias

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.probes.error_number import ErrorNumber

Note: TypeAlias = Callable[[CodeType, int, BaseException], None]
"""Takes the code, the offset of its instruction, and what was raised there."""

_NAME: Final = "pytest-memguard"
_TOOLS: Final = (4, 3, 5)
"""Numbers of tools that the interpreter knows no use for, and the optimiser's."""


class RaisedErrors:
    """Notes MemoryErrors through `sys.monitoring`.

    Args:
        note: takes those that code in C has raised, in which an allocation has failed.

    Raises:
        Unmeasurable: if other tools have every number.
    """

    def __init__(self, note: Note) -> None:
        monitoring: Any = sys.monitoring  # type: ignore[attr-defined]
        self._monitoring = monitoring
        self._note = note
        self._errno = ErrorNumber()
        self._is_watching = False
        self._last = 0
        free = [number for number in _TOOLS if monitoring.get_tool(number) is None]
        if not free:
            msg = "other tools use every slot of sys.monitoring"
            raise Unmeasurable(msg)
        self._tool = free[0]
        monitoring.use_tool_id(self._tool, _NAME)
        monitoring.register_callback(self._tool, monitoring.events.RAISE, self._raised)
        monitoring.set_events(self._tool, monitoring.events.RAISE)

    def begin(self) -> None:
        """Note what is raised from now on."""
        self._errno.clear()
        self._last = 0
        self._is_watching = True

    def end(self) -> bool:
        """Note no more; return whether an error of unknown origin was raised."""
        self._is_watching = False
        return False

    def close(self) -> None:
        """Let go of the interpreter."""
        self._monitoring.set_events(self._tool, 0)
        self._monitoring.free_tool_id(self._tool)

    def _raised(self, code: CodeType, offset: int, error: BaseException) -> None:
        if not self._is_watching or not isinstance(error, MemoryError):
            return
        if id(error) == self._last:  # once in the frame where it was raised is enough
            return
        self._last = id(error)
        # a size that no memory could have fails before anything is allocated
        if type(error) is not MemoryError or self._errno.is_no_memory():
            self._note(code, offset, error)
