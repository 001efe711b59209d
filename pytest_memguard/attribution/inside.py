"""Finds texts, bytes, arrays and numbers that grow inside objects."""

from __future__ import annotations

import gc
import time
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import compress, filterfalse
from typing import Any, Final

from pytest_memguard.attribution import raw
from pytest_memguard.attribution.retention import Search, retention_path
from pytest_memguard.attribution.values import Value, extent
from pytest_memguard.model.leaks import RetentionPath

# by id, since hashing the type of a value may run its metaclass's code
_KINDS: Final = frozenset(map(id, (str, bytes, bytearray, array, int)))
_CHUNK: Final = 5_000
_LARGE: Final = 200
_MOST_ASKED: Final = 3

Pair = tuple[Any, "dict[Any, Any] | None"]
"""A value, and the untracked dict that it is in, if it is in one."""
Inside = tuple[RetentionPath, Value, int]
"""What holds the value, the value, and by how much it grew."""


def grown_inside(call: Callable[[], None], calls: int, seconds: float) -> Inside | None:
    """Return what grows inside an object while a call is made repeatedly.

    The whole heap is searched, and frozen afterwards.

    Args:
        call: makes one call.
        calls: the number of calls, made again once something was found that may grow.
        seconds: the most CPU time of this thread for the search.

    Raises:
        CallFailed: if a call failed.
    """
    deadline = time.thread_time() + seconds
    gc.unfreeze()
    try:
        return _grown_inside(call, calls, deadline)
    finally:
        gc.freeze()


def _grown_inside(call: Callable[[], None], calls: int, deadline: float) -> Inside | None:
    then = {id(value): extent(value) for value, _ in _large_values(deadline)}
    _repeat(call, calls)
    fresh = [
        pair for pair in _large_values(deadline) if then.get(id(pair[0])) != extent(pair[0])
    ]
    fresh.sort(key=lambda pair: extent(pair[0]), reverse=True)
    fresh = fresh[:_MOST_ASKED]
    asked = [
        found
        for value, mapping in fresh
        if (found := _held(value, mapping, {id(fresh), *map(id, fresh)}, deadline))
    ]
    fresh.clear()
    before = [value.length() for _, value in asked]
    _repeat(call, calls)
    for (path, value), length in zip(asked, before, strict=True):
        if value.length() - length >= calls:
            return path, value, value.length() - length
    return None


def _repeat(call: Callable[[], None], calls: int) -> None:
    """Make calls with a frozen heap: each collects garbage, which takes long on a large one."""
    gc.freeze()
    try:
        for _ in range(calls):
            call()
    finally:
        gc.unfreeze()


def _held(
    target: Any, mapping: dict[Any, Any] | None, avoid: set[int], deadline: float
) -> tuple[RetentionPath, Value] | None:
    """Return what holds a value, and how to read the length of all values like it there."""
    search = Search(avoid=avoid, deadline=deadline)
    for chain in search.chains([target if mapping is None else mapping])[:1]:
        objects = chain.objects if mapping is None else (*chain.objects, target)
        if len(objects) > 1 and chain.lead is None:
            path = retention_path(
                replace(chain, objects=objects),
                roots=search.roots,
                new={id(target)},
                growing_container=target,
            )
            return path, Value(partial(_length_inside, objects[-2]))
    return None


def _length_inside(holder: Any) -> int:
    return sum(extent(value) for value, _ in _values_of([holder]))


def _large_values(deadline: float) -> list[Pair]:
    """Return long values that objects hold, each once."""
    found: dict[int, Pair] = {}
    objects = gc.get_objects()
    for start in range(0, len(objects), _CHUNK):
        if time.thread_time() > deadline:
            break
        for pair in _values_of(objects[start : start + _CHUNK]):
            if extent(pair[0]) >= _LARGE:
                found.setdefault(id(pair[0]), pair)
    return list(found.values())


def _values_of(holders: Iterable[Any]) -> Iterator[Pair]:
    """Return values of these kinds that objects hold, directly or in an untracked dict.

    The garbage collector does not track a dict that holds nothing else.
    """
    held = raw.referents(*holders)
    for value in compress(held, map(_KINDS.__contains__, map(id, map(type, held)))):
        yield value, None
    for mapping in filterfalse(gc.is_tracked, held):
        if type(mapping) is dict:
            for _, value in raw.items(mapping):
                if id(type(value)) in _KINDS:
                    yield value, mapping
