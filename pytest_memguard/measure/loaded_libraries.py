"""Leaves out of hard budgets what native libraries reserve while they are loaded."""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib.machinery import ExtensionFileLoader
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pytest_memguard.measure.held_levels import HeldLevels

_STEPS: Final = ("create_module", "exec_module")


class LoadedLibraries:
    """Has extension modules loaded without a limit.

    Args:
        held: the levels of the test.
    """

    def __init__(self, held: HeldLevels) -> None:
        self._replaced = [(name, getattr(ExtensionFileLoader, name)) for name in _STEPS]
        for name, load in self._replaced:
            setattr(ExtensionFileLoader, name, _without_limit(load, held))

    def close(self) -> None:
        """Let them be loaded as they were."""
        for name, load in self._replaced:
            setattr(ExtensionFileLoader, name, load)


def _without_limit(load: Callable[..., Any], held: HeldLevels) -> Callable[..., Any]:
    @functools.wraps(load)
    def load_without_limit(*args: Any, **kwargs: Any) -> Any:
        return held.leave_out(lambda: load(*args, **kwargs))

    return load_without_limit
