"""Finds weak references that C code alone refers to, which it lets go of in their callbacks."""

from __future__ import annotations

import gc
from collections.abc import Collection, Sequence
from typing import Any, Final
from weakref import ReferenceType

from pytest_memguard.attribution import raw

_CHUNK: Final = 2_000


def weak_of_c_code(new: Sequence[Any], leave_out: Collection[int]) -> dict[int, list[Any]]:
    """Return weak references that no object refers to, by the ids of what they refer to.

    C code that keeps something for each class, say, makes such a reference and forgets it: its
    callback lets go of it when the class goes. So it belongs to the class.

    Args:
        new: the new objects that the garbage collector tracks.
        leave_out: ids of further objects that refer to these, and do not count.
    """
    lost = {id(held): held for held in new if _has_callback(held)}
    own = {id(lost), id(new), *leave_out}
    _remove_reported(lost, new)
    if lost:
        _remove_reported(lost, [one for one in gc.get_objects() if id(one) not in own])
    found: dict[int, list[Any]] = {}
    for reference in lost.values():
        found.setdefault(id(ReferenceType.__call__(reference)), []).append(reference)
    return found


def _has_callback(held: Any) -> bool:
    """Return whether an object is a weak reference with a callback that may still be called."""
    return (
        issubclass(type(held), ReferenceType)
        and ReferenceType.__dict__["__callback__"].__get__(held) is not None
        and ReferenceType.__call__(held) is not None
    )


def _remove_reported(lost: dict[int, Any], holders: Sequence[Any]) -> None:
    """Remove what some objects refer to, as the collector reports it."""
    for start in range(0, len(holders) if lost else 0, _CHUNK):
        for one in map(id, raw.referents(*holders[start : start + _CHUNK])):
            lost.pop(one, None)
