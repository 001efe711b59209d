"""Recognises what belongs to threads: objects, stacks, and blocks allocated to run one."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from types import FrameType
from typing import Any

from pytest_memguard.attribution import naming, raw


def has_threads(kinds: Iterable[type]) -> bool:
    """Return whether one of these types is `threading.Thread` or a subclass of it."""
    return any(map(_is_thread, kinds))


def is_of_thread(stack: Sequence[tuple[str, str, int]]) -> bool:
    """Return whether a block was allocated to start a thread, or by one.

    Args:
        stack: function, file and line of every Python frame.
    """
    return any(file == threading.__file__ for _, file, _ in stack)


def on_stacks(objects: Iterable[Any]) -> Iterator[Any]:
    """Yield the values of local variables of the threads among some objects.

    Nothing else refers to some of them: the garbage collector does not see variables of a
    function that runs.

    Args:
        objects: the objects.
    """
    innermost = sys._current_frames()  # noqa: SLF001  # no other way
    for thread in filter(naming.is_thread, objects):
        ident = (raw.instance_dict(thread) or {}).get("_ident")
        yield from _variables(None if type(ident) is not int else innermost.get(ident))


def on_any_stack() -> Iterator[Any]:
    """Yield the values of local variables of all functions that run, in any thread."""
    for frame in sys._current_frames().values():  # noqa: SLF001  # no other way
        yield from _variables(frame)


def _variables(frame: FrameType | None) -> Iterator[Any]:
    while frame is not None:
        yield from raw.local_values(frame).values()
        frame = frame.f_back


def _is_thread(kind: type) -> bool:
    return any(raw.class_name(cls) == ("threading", "Thread") for cls in raw.mro(kind))
