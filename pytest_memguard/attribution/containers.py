"""Selects the containers that may have grown, by what is new in them."""

from __future__ import annotations

import gc
from collections.abc import Collection
from typing import Any, Final

from pytest_memguard.attribution import raw
from pytest_memguard.attribution.new_objects import NewObjects
from pytest_memguard.attribution.sizes import Grown

_MOST_CONTAINERS: Final = 6
_MOST_TRIES: Final = 3


class Containers:
    """Containers that grew, in the order in which to search for their holders.

    Args:
        grown: the containers, and by how much they grew.
        new_objects: the new objects.
        calls: the number of calls made.
        most: how many containers to keep.
    """

    def __init__(
        self, grown: Grown, new_objects: NewObjects, calls: int, *, most: int = _MOST_CONTAINERS
    ) -> None:
        reached = [len(new_objects.reached(container)) for container, _ in grown]
        # growth by the same amount in every call is no chance
        keys = [
            (-reach, growth % calls != 0, -growth)
            for reach, (_, growth) in zip(reached, grown, strict=True)
        ]
        order = sorted(range(len(grown)), key=keys.__getitem__)[:most]
        self.objects = [grown[i][0] for i in order]
        self.keys = [keys[i] for i in order]
        self.reach = max(reached, default=0)
        """How much of what is new the first of them holds."""


def holders(new_objects: NewObjects, least: int) -> Grown:
    """Return old containers that hold many new objects, and how many.

    They are found by what refers to a few of the new objects of each type, and then to a few of
    those that the first containers do not lead to.

    Args:
        new_objects: the new objects, counted.
        least: how many items of a container must be new.
    """
    found: Grown = []
    known = new_objects.ids | new_objects.own
    reached: set[int] = set()
    for _ in range(_MOST_TRIES):
        targets = new_objects.examples(reached, least)
        if not targets:
            break
        known.add(id(targets))
        fresh = []
        for holder in gc.get_referrers(*targets):
            if id(holder) not in known:
                known.add(id(holder))
                gained = gained_by(holder, new_objects.ids)
                if gained >= least:
                    fresh.append((holder, gained))
        if not fresh:
            break
        found += fresh
        reached.update(*(new_objects.reached(holder) for holder, _ in fresh))
    return found


def gained_by(container: Any, new: Collection[int]) -> int:
    """Return how many of a container's items are new; 0 if it is no container.

    Args:
        container: any object.
        new: ids of new objects.
    """
    length = raw.length(container)
    if not length or issubclass(type(container), raw.FIXED):
        return 0
    if issubclass(type(container), dict):
        entries = raw.items(container)
        return sum(id(value) in new or id(key) in new for key, value in entries)
    return min(length, sum(map(new.__contains__, map(id, raw.referents(container)))))
