"""What the garbage collector does beside collecting."""

from __future__ import annotations

import gc


def clear_free_lists() -> None:
    """Free the tuples, lists, dicts and floats that the interpreter keeps for reuse.

    CPython does so when it collects all generations. With every object set aside for that
    moment (gc.freeze), there is nothing to collect: no finalizer runs, and it takes some
    thirty microseconds. Where somebody else has set objects aside, nothing is done: they
    would come back with ours.
    """
    if not hasattr(gc, "freeze") or gc.get_freeze_count():
        return
    gc.freeze()
    try:
        gc.collect()
    finally:
        gc.unfreeze()
