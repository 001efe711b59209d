"""Clears the interpreter's free lists, which the garbage collector does beside collecting."""

from __future__ import annotations

import gc


class _Frozen:
    """Whether this process has frozen its heap for good, which takes long to find out."""

    here = False


def freeze() -> None:
    """Freeze the heap until this process ends."""
    gc.freeze()
    _Frozen.here = True


def clear_free_lists() -> None:
    """Free the tuples, lists, dicts and floats that the interpreter keeps for reuse.

    CPython does so when it collects all generations. With every object frozen for that moment
    (gc.freeze) there is nothing to collect: no finalizer runs, and it takes some thirty
    microseconds. If the suite has frozen objects itself the lists stay as they are: unfreezing
    would thaw those as well.
    """
    if _Frozen.here or not hasattr(gc, "freeze") or gc.get_freeze_count():
        return
    gc.freeze()
    try:
        gc.collect()
    finally:
        gc.unfreeze()
