"""Names what a call has filled for good: caches, tables and registries."""

from __future__ import annotations

import gc
import math
import operator
import sys
import time
from collections.abc import Container, Iterator
from itertools import compress, filterfalse
from types import CodeType
from typing import Any, Final

from pytest_memguard.attribution import raw
from pytest_memguard.attribution.new_objects import NewObjects
from pytest_memguard.attribution.retention import Search, retention_path
from pytest_memguard.model.baselines import Fill
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
_CONTAINERS: Final = frozenset(map(id, (dict, tuple)))
_SIZED: Final = _CONTAINERS | frozenset(map(id, (str, bytes, int)))
"""Ids of types of which only C code knows the size of an object."""
_TEXT: Final = id(str)
_LONG: Final = _LEAST_BYTES // 8
"""Letters of the shortest text that may be large; a letter takes four bytes at most."""
_SMALL: Final = frozenset((_TEXT, *map(id, (float, complex, bool, type(None), type, CodeType))))
"""Ids of types whose objects that are not tracked are small, and hold nothing that is large;
and of texts, of which only the long ones matter."""


def large_values() -> set[int]:
    """Return the ids of large objects that the collector does not track.

    Those are texts, bytes, arrays, and dicts and tuples of nothing but such and numbers. They
    are known to be new only by what there was before. The heap must not be frozen.
    """
    for _ in range(_COLLECTIONS):
        gc.collect()
    return set(map(id, _LargeValues().found()))


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
    search = Search(avoid=new.own | {id(tops)}, deadline=deadline, new=new.ids, imports=True)
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

    It is searched from new objects that no other new object holds, the largest first. Where
    such are in a cycle, each is held by another: it is searched from those that old objects
    hold.

    Args:
        new: what the collector tracks.
        before: ids of large objects that it does not track and that are not new.
        deadline: by `time.thread_time`; objects that are not measured by then are left out.
    """
    below = set(map(id, raw.referents(*new.objects)))
    tops = [(held, held) for held in new.objects if id(held) not in below]
    values = _LargeValues()
    tops += [
        (value, values.outermost(value))
        for value in values.found(deadline)
        if id(value) not in before and id(value) not in below
    ]
    seen: set[int] = set()
    sized = _sized(tops, new, seen, deadline)
    if time.thread_time() < deadline:
        entries = [(held, held) for held in _held_by_old(new, seen)]
        sized += _sized(entries, new, seen, deadline)
    sized.sort(key=lambda one: one[1], reverse=True)
    return sized[:_MOST_TOPS]


def _sized(
    tops: list[tuple[Any, Any]], new: NewObjects, seen: set[int], deadline: float
) -> list[tuple[Any, int]]:
    """Return where to search from, with bytes, for each object that is large with all below it.

    Args:
        tops: the objects, each with where to search from.
        new: what the collector tracks.
        seen: ids of objects that are counted already.
        deadline: by `time.thread_time`; objects that are not measured by then are left out.
    """
    found = []
    for top, start in tops:
        if time.thread_time() > deadline:
            break
        size = 0 if id(top) in seen else _size_below(top, new.ids, seen)
        if size >= _LEAST_BYTES:
            found.append((start, size))
    return found


def _held_by_old(new: NewObjects, seen: set[int]) -> list[Any]:
    """Return the new objects that are not counted and that an old object refers to."""
    rest = {id(held): held for held in new.objects if id(held) not in seen}
    if not rest:
        return []
    everything = gc.get_objects()
    own = new.own | {id(rest), id(everything)}
    old = [held for held in everything if id(held) not in new.ids and id(held) not in own]
    del everything
    found: dict[int, Any] = {}
    for start in range(0, len(old), _CHUNK):
        held_ids = set(map(id, raw.referents(*old[start : start + _CHUNK])))
        found |= {one: rest[one] for one in held_ids & rest.keys()}
    order = {id(held): at for at, held in enumerate(new.objects)}
    return sorted(found.values(), key=lambda held: order[id(held)])


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


class _LargeValues:
    """Finds the large objects that the collector does not track, below those that it tracks.

    No line of Python runs for each small text and number: there are millions.
    """

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._levels: list[list[Any]] = []

    def found(self, deadline: float = math.inf) -> Iterator[Any]:
        """Yield them.

        Args:
            deadline: by `time.thread_time`; objects that are not found by then are left out.
        """
        objects = gc.get_objects()
        for start in range(0, len(objects), _CHUNK):
            self._levels = []
            containers = objects[start : start + _CHUNK]
            while containers:
                if time.thread_time() > deadline:
                    return
                large, containers = self._untracked(containers)
                yield from large
                self._levels.append(containers)

    def outermost(self, value: Any) -> Any:
        """Return where a search for the holder of the value just found has to start.

        Args:
            value: that one; it is returned if an object holds it that the collector tracks.
        """
        for containers in reversed(self._levels):
            for holder in containers:
                if any(held is value for held in raw.referents(holder)):
                    value = holder
                    break
        return value

    def _untracked(self, holders: list[Any]) -> tuple[list[Any], list[Any]]:
        """Return what is large, and the dicts and tuples, of what objects refer to."""
        values = list(filterfalse(gc.is_tracked, raw.referents(*holders)))
        kinds = list(map(id, map(type, values)))
        texts = list(compress(values, map(_TEXT.__eq__, kinds)))
        long = compress(texts, map(_LONG.__le__, map(len, texts)))  # most are names
        is_large = map(operator.not_, map(_SMALL.__contains__, kinds))
        values = [*long, *compress(values, is_large)]
        found = dict(zip(map(id, values), values, strict=True))  # each of them once
        values = list(found.values())
        types = list(map(id, map(type, values)))
        is_sized = list(map(_SIZED.__contains__, types))
        sized = list(compress(values, is_sized))
        others = compress(values, map(operator.not_, is_sized))
        large = list(compress(sized, map(_LEAST_BYTES.__le__, map(sys.getsizeof, sized))))
        large += [value for value in others if raw.own_size(value) >= _LEAST_BYTES]
        large = [value for value in large if id(value) not in self._seen]
        held = set(compress(found, map(_CONTAINERS.__contains__, types))) - self._seen
        containers = list(map(found.__getitem__, held))
        self._seen.update(held, map(id, large))
        return large, containers
