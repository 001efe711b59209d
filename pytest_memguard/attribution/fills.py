"""Names what a call has filled for good: caches, tables and registries."""

from __future__ import annotations

import gc
import math
import operator
import sys
import time
from collections.abc import Container, Iterator
from itertools import compress, filterfalse
from typing import Any, Final

from pytest_memguard.attribution import raw
from pytest_memguard.attribution.new_objects import NewObjects
from pytest_memguard.attribution.retention import Search, retention_path
from pytest_memguard.baselines import Fill
from pytest_memguard.sizes import KIB

_SECONDS: Final = 2.0
"""The most CPU time of this thread to find the largest structures, and then their holders."""
_MOST_TOPS: Final = 12
"""How many of the largest new structures are followed to what holds them."""
_LEAST_BYTES: Final = 64 * KIB
"""Smaller structures are not followed: a test leaves many of them."""
_MOST_REACHED: Final = 2_000_000
_CHUNK: Final = 5_000
_COLLECTIONS: Final = 2
"""Each lets go of dicts and tuples that hold nothing which is tracked, one level of them."""
_OURS: Final = "pytest_memguard."
_PLAIN: Final = frozenset(map(id, (str, bytes, int, float, complex, bool, type(None))))
"""Ids of types whose objects hold nothing."""


def large_values() -> set[int]:
    """Return the ids of large objects that the collector does not track.

    Those are texts, bytes, arrays, and dicts and tuples of nothing but such and numbers. They
    are known to be new only by what there was before. The heap must not be frozen.
    """
    for _ in range(_COLLECTIONS):
        gc.collect()
    return {id(value) for value, _ in _large_values()}


def fills(before: Container[int]) -> tuple[Fill, ...]:
    """Return what holds the objects that are new since the heap was frozen, with bytes.

    The heap has to be frozen (`gc.freeze`) just before the call, and garbage collected after
    it: what the collector tracks then is new. Afterwards it is not frozen. Bytes are what
    `sys.getsizeof` says of the objects and of what they refer to; memory that no Python object
    owns is not in them.

    Args:
        before: `large_values` before the call.

    Returns:
        The largest first, one for each holder.
    """
    deadline = time.thread_time() + _SECONDS
    objects = gc.get_objects()
    new = NewObjects(objects, {id(objects)})
    del objects
    gc.unfreeze()  # what refers to an object is not looked for among frozen ones
    tops = _largest(new, before, deadline)
    deadline = time.thread_time() + _SECONDS
    search = Search(avoid=new.own | {id(tops)}, deadline=deadline, new=new.ids)
    search.leave_out({id(pair) for pair in tops})
    found: dict[str, int] = {}
    for start, size in tops:
        chains = search.chains([start])
        if not chains:
            continue
        path = retention_path(chains[0], roots=search.roots, new=new.ids)
        if path.holder and not path.owner and not path.holder.startswith(_OURS):
            found[path.holder] = found.get(path.holder, 0) + size
    ranked = sorted(found.items(), key=lambda one: (-one[1], one[0]))
    return tuple(Fill(holder=holder, size=size) for holder, size in ranked)


def _largest(new: NewObjects, before: Container[int], deadline: float) -> list[tuple[Any, int]]:
    """Return where to search for the holders of what is new, with the bytes of that.

    It is searched from new objects that no other new object holds, the largest first.

    Args:
        new: what the collector tracks.
        before: ids of large objects that it does not track and that are not new.
        deadline: by `time.thread_time`; objects that are not measured by then are left out.
    """
    below = set(map(id, raw.referents(*new.objects)))
    tops = [(held, held) for held in new.objects if id(held) not in below]
    tops += [
        (value, outermost)
        for value, outermost in _large_values(deadline)
        if id(value) not in before and id(value) not in below
    ]
    seen: set[int] = set()
    sized: list[tuple[int, int, Any]] = []
    for at, (top, start) in enumerate(tops):
        if time.thread_time() > deadline:
            break
        size = 0 if id(top) in seen else _size_below(top, new.ids, seen)
        if size >= _LEAST_BYTES:
            sized.append((size, -at, start))
    sized.sort(key=lambda one: one[:2], reverse=True)
    return [(start, size) for size, _, start in sized[:_MOST_TOPS]]


def _size_below(top: Any, new: set[int], seen: set[int]) -> int:
    """Return the bytes of an object and of what it refers to: what is new or not tracked."""
    total = 0
    frontier = [top]
    while frontier and len(seen) < _MOST_REACHED:
        total += sum(map(raw.own_size, frontier))
        seen.update(map(id, frontier))
        fresh = {
            id(held): held
            for held in raw.referents(*frontier)
            if id(held) not in seen and (id(held) in new or not gc.is_tracked(held))
        }
        frontier = list(fresh.values())
    return total


def _large_values(deadline: float = math.inf) -> Iterator[tuple[Any, Any]]:
    """Yield the large objects that the collector does not track.

    Each comes with where a search for its holder has to start: at the outermost of the
    containers around it that are not tracked either, or at the object itself.

    Args:
        deadline: by `time.thread_time`; objects that are not found by then are left out.
    """
    objects = gc.get_objects()
    seen: set[int] = set()
    for start in range(0, len(objects), _CHUNK):
        for outermost in _untracked(objects[start : start + _CHUNK]):
            if not len(seen) % _CHUNK and time.thread_time() > deadline:
                return
            found = [outermost]
            while found:
                value = found.pop()
                is_container = type(value) is dict or type(value) is tuple
                is_large = raw.own_size(value) >= _LEAST_BYTES
                if not (is_container or is_large) or id(value) in seen:
                    continue
                seen.add(id(value))
                if is_large:
                    yield value, outermost
                if is_container:
                    found += _untracked([value])


def _untracked(holders: list[Any]) -> Iterator[Any]:
    """Yield what objects refer to and the collector does not track.

    Small texts and numbers are left out without a line of Python for each: there are millions.
    """
    values = list(filterfalse(gc.is_tracked, raw.referents(*holders)))
    is_plain = list(map(_PLAIN.__contains__, map(id, map(type, values))))
    plain = list(compress(values, is_plain))
    yield from compress(values, map(operator.not_, is_plain))
    yield from compress(plain, map(_LEAST_BYTES.__le__, map(sys.getsizeof, plain)))
