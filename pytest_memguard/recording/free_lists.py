"""What the garbage collector does beside collecting, and how often it has done all of it."""

from __future__ import annotations

import gc
import sys
from typing import Final

# From CPython 3.14 on every collection but the youngest's takes a part of the oldest objects.
_REACH_OLD_ONES: Final = 1 if sys.version_info >= (3, 14) else 2


def full_collections() -> int:
    """How many collections there were in which objects of any age may go, and one more."""
    return 1 + sum(int(stats["collections"]) for stats in gc.get_stats()[_REACH_OLD_ONES:])


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
