"""Names what registries of the interpreter hold, which are the same for all code."""

from __future__ import annotations

import gc
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextvars import Context
from functools import partial
from typing import Any, Final

from pytest_memguard.attribution import naming, raw

_THREADS: Final = "threading."
_THREAD: Final = ", thread "
"""Stands in a name before the kind of thread."""
_CALLED: Final = ("_target", "function")
"""Attributes of a thread, or of a timer, with what it runs."""

_MANY: Final = 6
"""If so many new values have one type, each call is taken to make a variable for its own."""


def shared_name(name: str, objects: Sequence[Any], new: set[int]) -> str:
    """Return the name of a holder, with what distinguishes the leaks of a shared registry.

    Args:
        name: name of the holder.
        objects: the chain from its root to the new object.
        new: ids of objects that did not exist at the start.
    """
    if name.startswith(_THREADS):
        thread = next(filter(naming.is_thread, objects), None)
        return name if thread is None else f"{name}{_THREAD}{thread_kind(thread)}"
    kind = kind_in_context(objects, new)
    return f"context variables, made by each call, of {kind}" if kind else name


def thread_kind(thread: Any) -> str:
    """Return the kind of a thread: its class, or what it runs."""
    kind = raw.type_name(type(thread))
    if kind.partition(".")[0] not in sys.stdlib_module_names:
        return kind
    known = raw.instance_dict(thread) or {}
    called = next((known[key] for key in _CALLED if known.get(key) is not None), None)
    return kind if called is None else naming.callable_name(called)


def thread_counter(holder: str) -> Callable[[], int] | None:
    """Counts the threads of the kind that the name of a holder ends with, if there is one.

    The interpreter's registry of threads grows with those of every kind.

    Args:
        holder: its name, as `shared_name` makes it.
    """
    kind = holder.partition(_THREAD)[2]
    return partial(_threads_of, kind) if kind else None


def _threads_of(kind: str) -> int:
    return sum(thread_kind(thread) == kind for thread in threading.enumerate())


def kind_in_context(objects: Sequence[Any], new: set[int]) -> str:
    """Return the type for whose values each call makes a context variable, or nothing.

    The garbage collector tracks their values, but not the variables.

    Args:
        objects: the chain from its root to the new object.
        new: ids of objects that did not exist at the start.
    """
    if type(objects[0]) is not Context:
        return ""
    values = list(objects[0].values())
    fresh = [value for value in values if id(value) in new]
    if not any(value is one for value in values for one in objects[1:]):
        # it ends inside of the context: these may be new, but the collector follows none
        fresh += [value for value in values if not gc.is_tracked(value)]
    kinds = Counter(raw.type_name(type(value)) for value in fresh)
    on_the_way = [one for one in objects[1:] if any(value is one for value in fresh)]
    # a chain may end inside of the context, with a part of the table it has
    kept = [raw.type_name(type(one)) for one in on_the_way]
    kept = kept or [kind for kind, _ in kinds.most_common(1)]
    return kept[0] if kept and kinds[kept[0]] >= _MANY else ""
