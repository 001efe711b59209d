"""Finds which code got tables of dicts that the interpreter had kept for reuse.

When a small dict is freed, CPython keeps its table for the next one. It reports to tracemalloc
objects that get the memory of others, but not tables: such a table seems to be allocated where
a dict was made that no longer exists.
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
"""Offset of a dict's pointer to its table."""
_TABLES: Final = ((dict, _TABLE_IN_DICT), (list, 3 * _WORD), (set, 5 * _WORD))
"""Types with a table, and the offset of the pointer to it."""
_EMPTY: Final = dict.__sizeof__({})
SMALLEST_TABLE: Final = dict.__sizeof__({"": None}) - _EMPTY
"""Bytes of the table of a dict with one entry or a few, the only ones that are kept."""

Moved = tuple[int, tracemalloc.Traceback, tracemalloc.Traceback]
"""Bytes of a table, the stack that allocated it, and the stack that made its dict."""


def _lookup() -> Callable[[int, int], Any]:
    """Return the interpreter's function that finds what allocated the memory at an address."""
    try:
        function = ctypes.pythonapi._PyTraceMalloc_GetTraceback  # noqa: SLF001  its name
    except AttributeError:
        return lambda _domain, _address: None
    function.argtypes = [ctypes.c_uint, ctypes.c_size_t]
    function.restype = ctypes.py_object
    return function


_frames_at: Final = _lookup()


def traceback_at(address: int) -> tracemalloc.Traceback | None:
    """Return the stack that allocated the memory at an address, if tracemalloc knows it."""
    frames = _frames_at(0, address)
    return None if frames is None else tracemalloc.Traceback(frames)


def table_traceback(held: Any) -> tracemalloc.Traceback | None:
    """Return the stack that allocated the table of a list, dict or set, if it is known.

    A table that the interpreter may have kept for reuse is not known.
    """
    offset = next((where for kind, where in _TABLES if type(held) is kind), None)
    if offset is None:
        return None
    if type(held) is dict and dict.__sizeof__(held) == _EMPTY + SMALLEST_TABLE:
        return None
    return traceback_at(_word_at(id(held) + offset))


def moved_tables(growing_container: object = None) -> Counter[Moved]:
    """Return tables that new dicts have got from others; the heap was frozen before the calls.

    Args:
        growing_container: an old object that holds new dicts. Dicts without tracked contents
            are not tracked, so they are searched for in what may hold them.
    """
    moves: Counter[Moved] = Counter()
    size = _EMPTY + SMALLEST_TABLE
    new = gc.get_objects()
    held = raw.referents(*new, *raw.tables(growing_container))
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
    """Return the address of the table of a dict."""
    return _word_at(id(held) + _TABLE_IN_DICT)


def _word_at(address: int) -> int:
    return ctypes.c_size_t.from_address(address).value
