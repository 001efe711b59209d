"""Notes numpy's MemoryErrors where the interpreter reports no exceptions (Python 3.11)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import CodeType
from typing import Any, Final, TypeAlias

Note: TypeAlias = Callable[[CodeType, int, BaseException], None]
"""Takes the code that catches it, the offset of its instruction, and the exception."""
_MODULES: Final = ("numpy._core._exceptions", "numpy.core._exceptions")
_CLASS: Final = "_ArrayMemoryError"


class ArrayErrors:
    """Has numpy's class of MemoryErrors say when one is made.

    The interpreter makes it only when something catches it.

    Args:
        note: takes each of them.
    """

    def __init__(self, note: Note) -> None:
        self._note = note
        self._replaced: tuple[Any, Callable[..., None]] | None = None

    def replace(self) -> None:
        """Find the class, if numpy is loaded by now."""
        if self._replaced is not None:
            return
        found = (sys.modules.get(name) for name in _MODULES)
        cls = next((getattr(module, _CLASS, None) for module in found if module), None)
        if cls is None:
            return
        before, note = cls.__init__, self._note

        def init(error: BaseException, *arguments: Any) -> None:
            before(error, *arguments)
            caller = sys._getframe(1)  # noqa: SLF001  there is no other way
            note(caller.f_code, caller.f_lasti, error)

        cls.__init__ = init
        self._replaced = cls, before

    def close(self) -> None:
        """Let the class be as it was."""
        if self._replaced is not None:
            cls, before = self._replaced
            cls.__init__ = before
            self._replaced = None
