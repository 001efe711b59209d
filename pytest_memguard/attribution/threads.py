"""Recognises what belongs to threads: objects, and blocks allocated to start or run one."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

from pytest_memguard.attribution import raw


def has_threads(kinds: Iterable[type]) -> bool:
    """Return whether one of these types is `threading.Thread` or a subclass of it."""
    return any(map(_is_thread, kinds))


def is_of_thread(stack: Sequence[tuple[str, str, int]]) -> bool:
    """Return whether a block was allocated to start a thread, or by one.

    Args:
        stack: function, file and line of every Python frame.
    """
    return any(file == threading.__file__ for _, file, _ in stack)


def _is_thread(kind: type) -> bool:
    return any(raw.class_name(cls) == ("threading", "Thread") for cls in raw.mro(kind))
