"""Finds out whether new objects are there because C code has lost references to some."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Sequence
from types import FrameType
from typing import Any, Final

from pytest_memguard.attribution import raw
from pytest_memguard.attribution.hidden_references import MOST_COUNTED, subtract_references
from pytest_memguard.attribution.new_objects import NewObjects
from pytest_memguard.attribution.references import reference_counts
from pytest_memguard.attribution.threads import on_any_stack

_MOST_OBJECTS: Final = 20_000
"""Of more new objects, nothing is found out."""
_MOST_KINDS: Final = 2
"""How many kinds of objects are named."""
_ALL: Final = 0.75
"""Share of the new objects that those must lead to which C code alone holds."""


def lost_words(new_objects: NewObjects, least: int) -> str:
    """Return what C code alone holds and leads to the new objects; empty if nothing does.

    An object has more references than the garbage collector reports if C code has one.

    Args:
        new_objects: the new objects, of which no holder was found.
        least: the least number of objects of one kind that become more with every call.
    """
    if len(new_objects.objects) > _MOST_OBJECTS:
        return ""
    new = new_objects.objects
    names = [raw.type_name(type(one)) for one in new]
    wanted = {
        id(one) for one, name in zip(new, names, strict=True) if name in new_objects.counts
    }
    # of a type of which old objects are gone, it is not certain that there are more
    often = {name for name, count in Counter(names).items() if count >= least}
    several_new = [one for one, name in zip(new, names, strict=True) if name in often]
    kinds: dict[str, list[Any]] = {}
    for held in _with_more_references(several_new):
        kinds.setdefault(_words(held), []).append(held)
    several = sorted(kinds.items(), key=lambda item: (-len(item[1]), item[0]))
    lost: list[Any] = []
    named: list[str] = []
    for words, objects in several[:_MOST_KINDS]:
        if len(objects) >= least:
            named.append(words)
            lost += objects
            if _leads_to_most(lost, wanted, new_objects):
                return " and ".join(sorted(named))
    return ""


def _leads_to_most(lost: list[Any], wanted: set[int], new_objects: NewObjects) -> bool:
    return len(new_objects.reached(lost) & wanted) >= _ALL * len(wanted)


def _with_more_references(objects: Sequence[Any]) -> list[Any]:
    """Return the objects that have more references than the garbage collector reports."""
    numbers = reference_counts(objects)
    counts = {
        id(one): number
        for one, number in zip(objects, numbers, strict=True)
        if number < MOST_COUNTED
    }
    everything = gc.get_objects()
    subtract_references(counts, everything, {id(objects), id(everything)})
    del everything
    running = set(map(id, on_any_stack()))
    return [one for one in objects if counts.get(id(one), 0) > 0 and id(one) not in running]


def _words(held: Any) -> str:
    if raw.is_exactly(held, FrameType):
        return f"a frame of {held.f_code.co_name}"
    if issubclass(type(held), type):
        return "a class"
    name = raw.type_name(type(held))
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
