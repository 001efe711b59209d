"""Finds old objects that lead to new ones, if the search from the new ones fails."""

from __future__ import annotations

import gc
import time
from collections.abc import Generator
from dataclasses import replace
from itertools import islice
from types import FrameType
from typing import Any, Final
from weakref import ReferenceType

from pytest_memguard.attribution import raw
from pytest_memguard.attribution.new_objects import NewObjects
from pytest_memguard.attribution.retention import Chain, Search

_CHUNK: Final = 2_000
_MOST_ASKED: Final = 100


def chains_from_above(new_objects: NewObjects, search: Search, least: int) -> list[Chain]:
    """Return chains through an old object from which most new objects are reached.

    If new objects refer to each other both ways, like those of a doubly linked list, no object
    among them is held by no other, and any of them may be far from the one that an old object
    holds. So all old objects are examined here, in one scan of the heap.

    Args:
        new_objects: the new objects.
        search: searches for holders.
        least: the least number of new objects that must be reached.
    """
    entries = _entries(new_objects, search)
    found = [
        (len(new_objects.reached(holder)), holder, held)
        for holder, held in islice(entries, _MOST_ASKED)
    ]
    entries.close()  # its list of all objects has the iterator over it, which would hold it
    search.leave_out({id(found)} | {id(entry) for entry in found})
    enough = [entry for entry in found if entry[0] >= least]
    search.leave_out({id(enough)})
    for _, holder, held in sorted(enough, key=lambda entry: -entry[0])[:1]:
        chains = search.chains([holder])
        return [replace(chain, objects=(*chain.objects, held)) for chain in chains]
    return []


def _entries(new_objects: NewObjects, search: Search) -> Generator[tuple[Any, Any], None, None]:
    """Yield old objects that refer to new ones, and those."""
    new = new_objects.ids
    everything = gc.get_objects()
    for start in range(0, len(everything), _CHUNK):
        if time.thread_time() > search.deadline:
            return
        chunk = everything[start : start + _CHUNK]
        if new.isdisjoint(map(id, raw.referents(*chunk))):
            continue
        for holder in chunk:
            if id(holder) in new or search.leaves_out(holder) or not _may_hold(holder):
                continue
            held = next((one for one in raw.referents(holder) if id(one) in new), None)
            if held is not None and _may_hold(held):
                yield holder, held


def _may_hold(held: Any) -> bool:
    kind = type(held)
    return kind is not FrameType and not issubclass(kind, ReferenceType)
