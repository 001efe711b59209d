"""Keeps the limit on a test's data from the processes that it starts."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Any, Final

from pytest_memguard.values import dataclass

_STARTS: Final = (
    ("subprocess", "_fork_exec"),
    ("_posixsubprocess", "fork_exec"),
    ("os", "posix_spawn"),
    ("os", "posix_spawnp"),
    ("os", "system"),
)
"""Functions that start a program in a child without calling what `os.register_at_fork` has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """What is done around the start of a child."""

    before: Callable[[], None]
    """Takes the limit away."""
    after: Callable[[], None]
    """Puts it back, in the process of the test."""
    in_child: Callable[[], None]
    """Lets it be as it is, in a forked child."""


class SparedChildren:
    """Takes the limit away while a child is started, which would inherit it for good.

    A budget does not count children, and its limit would hold each of them to all that the
    test's process may use. Only children that code in C starts by itself inherit it.

    Args:
        pause: what is done around that.
    """

    _is_registered = False
    _pause: Pause | None = None

    def __init__(self, pause: Pause) -> None:
        self._replaced: list[tuple[Any, str, Any]] = []
        self._outer = SparedChildren._pause  # of a session around this one
        SparedChildren._pause = pause
        if not SparedChildren._is_registered and hasattr(os, "register_at_fork"):
            SparedChildren._is_registered = True  # nothing takes that back
            os.register_at_fork(
                before=_call("before"),
                after_in_parent=_call("after"),
                after_in_child=_call("in_child"),
            )
        for module_name, name in _STARTS:
            module = sys.modules.get(module_name)
            start = getattr(module, name, None)
            if start is not None:
                self._replaced.append((module, name, start))
                setattr(module, name, _paused(start, pause))

    def close(self) -> None:
        """Let children be started as they were."""
        SparedChildren._pause = self._outer
        for module, name, start in self._replaced:
            setattr(module, name, start)
        self._replaced.clear()


def _call(step: str) -> Callable[[], None]:
    def call() -> None:
        pause = SparedChildren._pause  # noqa: SLF001  of the class above
        if pause is not None:
            getattr(pause, step)()

    return call


def _paused(start: Callable[..., Any], pause: Pause) -> Callable[..., Any]:
    @functools.wraps(start)
    def start_without_limit(*args: Any, **kwargs: Any) -> Any:
        pause.before()
        try:
            return start(*args, **kwargs)
        finally:
            pause.after()

    return start_without_limit
