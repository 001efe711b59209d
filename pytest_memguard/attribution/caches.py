"""Recognises caches with a limit: growth in them ends by itself."""

from __future__ import annotations

import re
import sys
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from pytest_memguard.attribution import raw
from pytest_memguard.values import dataclass

_BOUND_NAMES: Final = frozenset(
    {"maxsize", "max_size", "capacity", "maxlen", "max_entries", "max_items"}
)
_MANGLED: Final = re.compile(r"_[A-Za-z0-9_]*?__")
_PATTERN_CACHES: Final = (("_cache", "_MAXCACHE"), ("_cache2", "_MAXCACHE2"))
_deque_bound = deque.__dict__["maxlen"].__get__


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """The limit of a cache that is not full."""

    words: str
    """The cache, its limit and how full it is."""
    enforced: bool
    """Whether the interpreter enforces it; claims of other code may be wrong."""
    limit: int
    """The most entries."""


def bounded_by(
    growing_container: object, owners: Sequence[object] = (), *, name: str = ""
) -> Bound | None:
    """Return why growth in a container ends by itself.

    Args:
        growing_container: the container.
        owners: the objects that hold it, the nearest first: the limit may be theirs.
        name: what to call it.

    Returns:
        The limit; ``None`` if there is none, or if it was exceeded already.
    """
    for candidate in (growing_container, *owners):
        kind = type(candidate)
        if kind is raw.LRU_CACHE:
            bound, used = raw.lru_fill(candidate)
            called = name.removeprefix("functools.lru_cache of ")
            what = f"functools.lru_cache(maxsize={bound})"
            return _unreached_bound(
                what, f" of {called}" if called else "", used, bound, enforced=True
            )
        used = raw.length(growing_container) or 0
        bound = _bound_of(candidate)
        if candidate is not growing_container and not _is_about(candidate, used):
            continue
        if bound is not None and bound > used:
            is_deque = issubclass(kind, deque) and _deque_bound(candidate) == bound
            what = f"{raw.type_name(kind)}, at most {bound}"
            if is_deque:
                what = f"{raw.type_name(kind)}(maxlen={bound})"
            what = f"{name}: {what}" if name else what
            return _unreached_bound(what, "", used, bound, enforced=is_deque)
    return _pattern_cache(growing_container)


def _unreached_bound(
    what: str, name: str, used: int, bound: int | None, *, enforced: bool
) -> Bound | None:
    if bound is None or used >= bound:
        return None
    words = f"{what}{name}, {used} of {bound} used"
    return Bound(words=words, enforced=enforced, limit=bound)


def _bound_of(obj: object) -> int | None:
    if issubclass(type(obj), deque):
        bound: int | None = _deque_bound(obj)
        if bound is not None:
            return bound
    if issubclass(type(obj), type) or issubclass(type(obj), type(sys)):
        return None  # a class's or a module's constant says nothing of one container in it
    found = [value for key, value in raw.attributes(obj) if _is_bound(key, value)]
    found += [
        value
        for cls in raw.mro(type(obj))
        for key, value in list(raw.namespace(cls).items())
        if _is_bound(key, value)
    ]
    return found[0] if found else None


def _is_about(owner: object, used: int) -> bool:
    """Return whether an owner's limit can be that of a container of this length.

    If the owner has other things in other containers, it may be the limit of those.
    """
    others = [raw.length(value) for _, value in raw.attributes(owner) if _may_grow(value)]
    return all(length in {0, used} for length in others)


def _may_grow(value: object) -> bool:
    return issubclass(type(value), (dict, list, set, deque))


def _is_bound(key: Any, value: object) -> bool:
    if type(value) is not int or type(key) is not str:
        return False
    return _MANGLED.sub("", key, count=1).strip("_").lower() in _BOUND_NAMES


def _pattern_cache(growing_container: object) -> Bound | None:
    known = vars(re)
    for cache, limit in _PATTERN_CACHES:
        if known.get(cache) is growing_container and type(known.get(limit)) is int:
            what = f"the cache of patterns, re.{cache}"
            return _unreached_bound(
                what, "", raw.length(growing_container) or 0, known[limit], enforced=True
            )
    return None
