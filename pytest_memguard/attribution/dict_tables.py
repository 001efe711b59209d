"""Tables of dicts that the interpreter had kept for reuse, and who got them last.

When a small dict goes, CPython keeps its table for the next one. It tells tracemalloc of
objects that get the memory of others, but not of tables: such a table seems to be allocated
where the dict was made that is long gone.
"""

from __future__ import annotations

import ctypes
import gc
import tracemalloc
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from pytest_memguard.attribution import raw

_WORD: Final = 8
_TABLE_IN_DICT: Final = 4 * _WORD
"""Where in a dict the pointer to its table is."""
_EMPTY: Final = dict.__sizeof__({})
SMALLEST_TABLE: Final = dict.__sizeof__({"": None}) - _EMPTY
"""Bytes of the table of a dict with one entry, and with a few: the only ones that are kept."""

Moved = tuple[int, tracemalloc.Traceback, tracemalloc.Traceback]
"""Bytes of a table, the stack that allocated it, and the one that made the dict it is in."""


def _lookup() -> Callable[[int, int], Any]:
    """The interpreter's own function that tells who allocated the memory at an address."""
    try:
        function = ctypes.pythonapi._PyTraceMalloc_GetTraceback  # noqa: SLF001  its name
    except AttributeError:
        return lambda _domain, _address: None
    function.argtypes = [ctypes.c_uint, ctypes.c_size_t]
    function.restype = ctypes.py_object
    return function


_frames_at: Final = _lookup()


def traceback_at(address: int) -> tracemalloc.Traceback | None:
    """Who allocated the memory at an address, as far as tracemalloc knows."""
    frames = _frames_at(0, address)
    return None if frames is None else tracemalloc.Traceback(frames)


def moved_tables(grower: object = None) -> Counter[Moved]:
    """The tables that new dicts have got from others; the heap was frozen before the calls.

    Args:
        grower: what was there before and holds new dicts. The collector does not follow those
            of them that hold nothing it follows, so they are looked for in what may hold them.
    """
    moves: Counter[Moved] = Counter()
    size = _EMPTY + SMALLEST_TABLE
    new = gc.get_objects()
    held = raw.referents(*new, *raw.tables(grower))
    for one in {id(one): one for one in (*new, *held) if type(one) is dict}.values():
        if dict.__sizeof__(one) != size:
            continue
        owner = tracemalloc.get_object_traceback(one)
        if owner is None:  # it was there before
            continue
        taken = traceback_at(_table_of(one))
        if taken is not None and taken != owner:
            moves[SMALLEST_TABLE, taken, owner] += 1
    return moves


def _table_of(held: dict[Any, Any]) -> int:
    """Where the table of a dict is."""
    return ctypes.c_size_t.from_address(id(held) + _TABLE_IN_DICT).value
