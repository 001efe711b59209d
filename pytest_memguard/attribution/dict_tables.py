"""Finds which code got tables of dicts that the interpreter had kept for reuse.

When a small dict is freed, CPython keeps its table for the next one. It reports to tracemalloc
objects that get the memory of others, but not tables: such a table seems to be allocated where
a dict was made that no longer exists.
"""

from __future__ import annotations

import ctypes
import gc
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import compress, repeat
from operator import is_
from typing import Any, Final

from pytest_memguard.attribution import raw

_WORD: Final = 8
_TABLE_IN_DICT: Final = 4 * _WORD
"""Offset of a dict's pointer to its table."""
_TABLES: Final = ((dict, _TABLE_IN_DICT), (list, 3 * _WORD), (set, 5 * _WORD))
"""Types with a table, and the offset of the pointer to it."""
_LONG_HEAD: Final = 4 * _WORD
"""Bytes in front of an instance whose attributes are referred to there."""
_IS_BLIND: Final = sys.version_info < (3, 12)
"""Whether tracemalloc does not find instances whose attributes are referred to in front."""
_EMPTY: Final = dict.__sizeof__({})
SMALLEST_TABLE: Final = dict.__sizeof__({"": None}) - _EMPTY
"""Bytes of the table of a dict with one entry or a few, the only ones that are kept."""

Moved = tuple[int, tracemalloc.Traceback, tracemalloc.Traceback]
"""Bytes of a table, the stack that allocated it, and the stack that made its dict."""


_is_traced: Final = tracemalloc._get_object_traceback  # type: ignore[attr-defined]  # noqa: SLF001  without a wrapper in Python


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


def object_traceback(held: Any) -> tracemalloc.Traceback | None:
    """Return where an object was allocated; ``None`` if unknown.

    tracemalloc of CPython 3.11 does not find instances whose attributes are referred to in
    front of them, because it expects a shorter header (fixed in 3.12 by python/cpython#101407).
    """
    traceback = tracemalloc.get_object_traceback(held)
    if traceback is None and _IS_BLIND and raw.has_words_in_front(type(held)):
        traceback = traceback_at(id(held) - _LONG_HEAD)
    return traceback


def table_traceback(held: Any) -> tracemalloc.Traceback | None:
    """Return the stack that allocated the table of a list, dict or set, if it is known.

    A table that the interpreter may have kept for reuse is not known.
    """
    offset = next((where for kind, where in _TABLES if type(held) is kind), None)
    if offset is None:
        return None
    if type(held) is dict and dict.__sizeof__(held) == _EMPTY + SMALLEST_TABLE:
        return None
    return traceback_at(word_at(id(held) + offset))


def moved_tables(growing_container: object = None) -> Counter[Moved]:
    """Return tables that new dicts have got from others; the heap was frozen before the calls.

    Args:
        growing_container: an old object that holds new dicts. Dicts without tracked contents
            are not tracked, so they are searched for in what may hold them.
    """
    new = gc.get_objects()
    return moved_among([*new, *raw.referents(*new, *raw.tables(growing_container))])


def moved_among(objects: Sequence[Any]) -> Counter[Moved]:
    """Return tables that new dicts have got from others.

    Args:
        objects: all objects that may be such dicts.
    """
    moves: Counter[Moved] = Counter()
    size = _EMPTY + SMALLEST_TABLE
    dicts = list(compress(objects, map(is_, map(type, objects), repeat(dict))))
    # most are old: to ask for them takes no memory, which is traced
    traced = list(compress(dicts, map(_is_traced, dicts)))
    for one in {id(one): one for one in traced}.values():
        if dict.__sizeof__(one) != size:
            continue
        owner = tracemalloc.get_object_traceback(one)
        taken = traceback_at(_table_of(one))
        if owner is not None and taken is not None and taken != owner:
            moves[SMALLEST_TABLE, taken, owner] += 1
    return moves


def _table_of(held: dict[Any, Any]) -> int:
    """Return the address of the table of a dict."""
    return word_at(id(held) + _TABLE_IN_DICT)


def word_at(address: int) -> int:
    """Return the word at an address, which must be mapped."""
    return ctypes.c_size_t.from_address(address).value
