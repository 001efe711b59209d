"""Counts objects by type and measures containers, before and after calls."""

from __future__ import annotations

import gc
import time
from array import array
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import compress, count, filterfalse, repeat
from operator import ge, is_
from typing import Any, Final

from pytest_memguard.attribution import raw
from pytest_memguard.attribution.census import Census, Portion

_CHUNK: Final = 5_000
_HUGE: Final = 100_000
_COMMON: Final = 50_000
_LONG: Final = 12
_MOST_LONG: Final = 50_000
_SAMPLE: Final = 16
"""One object in so many is counted if counts are not needed, to find common types."""
_WITHOUT_DICTS: Final = (set, frozenset)
"""Types whose objects cannot hold a dict."""

Grown = list[tuple[Any, int]]
"""Containers, and by how much they grew."""


class Sizes:
    """What existed at the start: counts by type, and the length of every container.

    Nothing is kept alive: containers are remembered by their ids, which mean something only
    together with the knowledge of which objects are new.
    """

    def __init__(
        self,
        objects: Sequence[Any],
        deadline: float,
        *,
        shortest: int = 0,
        counts: bool = True,
    ) -> None:
        """Examine all objects.

        Args:
            objects: the objects that the garbage collector tracks.
            deadline: by `time.thread_time`; what is not examined by then is not known.
            shortest: containers of at least this length are of interest.
            counts: whether to count objects.
        """
        self._tracked = _Lengths(shortest)
        self._untracked = _Lengths(shortest)
        self._huge: set[int] = set()
        census = Census(no_holders=_WITHOUT_DICTS, every=1 if counts else _SAMPLE)
        examined = 0
        self._add_untracked(_namespaces())
        for chunk in _chunks(objects, deadline):
            portion = census.counted(chunk)
            long = self._tracked.add(*portion.containers())
            huge = {held for held, length in long if length > _HUGE}
            self._huge |= huge
            # what there is so much of is data: not asked for registries that it may hold;
            # but a dict may be that of a module, say
            census.leave_out(kind for kind in census.common(_COMMON) if kind is not dict)
            self._add_untracked(_without(huge, portion))
            examined += len(chunk)
        self.complete = examined == len(objects)
        self.counts = census.by_name() if counts else None
        self._odd = census.odd()
        self._no_holders = census.no_holders

    def _add_untracked(self, holders: Iterable[Any]) -> None:
        dicts = untracked_dicts(holders)
        self._untracked.add(dicts, list(map(len, dicts)))

    def grown(
        self,
        objects: Sequence[Any],
        least: int,
        new: set[int],
        deadline: float,
        *,
        count: bool,
        leave_out: set[int],
    ) -> tuple[Grown, Counter[str]]:
        """Return containers that have grown, and how many objects there are now.

        Args:
            objects: the objects that the garbage collector tracks now.
            least: the least growth.
            new: ids of the objects that it did not track at the start. A dict among them may be
                an old one: dicts without tracked contents are not tracked.
            deadline: by `time.thread_time`.
            count: whether to count objects by type.
            leave_out: ids of containers to ignore.
        """
        known = new.union(leave_out, map(id, vars(self).values()))
        fresh = [held for held in objects_of(objects, new) if type(held) is dict]
        grown = self._untracked.grown(fresh, least)
        census = Census(self._odd)
        if not count and not self._tracked.are_many:
            old = [
                held
                for chunk in _chunks(objects, deadline)
                for held in objects_of(chunk, self._tracked.long)
                if id(held) not in known
            ]
            return (self._tracked.grown(old, least) + grown, census.by_name())
        large: list[Any] = []
        read = census.counted if count else census.portion
        for chunk in _chunks(objects, deadline):
            containers, lengths = read(chunk).containers()
            large += compress(containers, map(ge, lengths, repeat(least)))
        old = [held for held in large if id(held) not in known]
        return (self._tracked.grown(old, least) + grown, census.by_name())

    def unchanged(self, containers: Sequence[Any]) -> set[int]:
        """Return the ids of containers that existed at the start and have not grown at all."""
        return self._tracked.unchanged(containers) | self._untracked.unchanged(containers)

    def grown_near(self, least: int) -> Grown:
        """Return untracked dicts in module variables that have grown.

        That takes milliseconds.
        """
        near = {id(held): held for held in untracked_dicts(_namespaces())}
        return self._untracked.grown(list(near.values()), least)

    def grown_far(self, objects: Sequence[Any], least: int, deadline: float) -> Grown:
        """Return untracked dicts that have grown, wherever they are held."""
        found: dict[int, Any] = {}
        census = Census(no_holders=self._no_holders)
        for chunk in _chunks(objects, deadline):
            holders = _without(self._huge, census.portion(chunk))
            for mapping in untracked_dicts(holders):
                if len(mapping) >= least:
                    found[id(mapping)] = mapping
        return self._untracked.grown(list(found.values()), least)


def objects_of(objects: Sequence[Any], ids: Container[int]) -> Iterable[Any]:
    """Return the objects that have one of these ids."""
    return compress(objects, map(ids.__contains__, map(id, objects)))


def _chunks(objects: Sequence[Any], deadline: float) -> Iterator[Sequence[Any]]:
    """Yield portions that take some milliseconds each, until the time is over."""
    for start in range(0, len(objects), _CHUNK):
        if time.thread_time() > deadline:
            return
        yield objects[start : start + _CHUNK]


def _without(ids: set[int], portion: Portion) -> Iterable[Any]:
    """Return objects that may hold something of interest, without those with these ids."""
    if ids and not ids.isdisjoint(map(id, portion.objects)):
        return [held for held in portion.holders() if id(held) not in ids]
    return portion.holders()


class _Lengths:
    """Lengths by id, in a tenth of the memory that a dict would take.

    Lengths of long containers are in a dict as well, as long as they are few: most containers
    that are long later were long before, and are found at once.

    Args:
        shortest: containers of at least this length are of interest.

    Attributes:
        long: lengths of long containers, by id.
    """

    def __init__(self, shortest: int) -> None:
        self._shortest = shortest
        self._ids = array("Q")
        self._lengths = array("Q")
        self.long: dict[int, int] = {}

    @property
    def are_many(self) -> bool:
        """Whether some lengths are not among those of long containers."""
        return len(self._ids) > len(self.long)

    def add(self, containers: list[Any], lengths: list[int]) -> list[tuple[int, int]]:
        """Add containers.

        Returns:
            Id and length of the long ones among them.
        """
        if self._shortest:
            are_kept = list(map(self._shortest.__le__, lengths))
            containers = list(compress(containers, are_kept))
            lengths = list(compress(lengths, are_kept))
        ids = list(map(id, containers))
        self._ids.fromlist(ids)
        self._lengths.fromlist(lengths)
        are_long = list(map((self._shortest or _LONG).__le__, lengths))
        long = list(zip(compress(ids, are_long), compress(lengths, are_long), strict=True))
        if len(self.long) < _MOST_LONG:
            self.long.update(long)
        return long

    def grown(self, containers: Sequence[Any], least: int) -> Grown:
        """Return those of the containers that have grown by enough."""
        return [one for one in self._changes(containers) if one[1] >= least]

    def unchanged(self, containers: Sequence[Any]) -> set[int]:
        """Return the ids of those that are known and have not grown."""
        return {id(container) for container, growth in self._changes(containers) if growth <= 0}

    def _changes(self, containers: Sequence[Any]) -> list[tuple[Any, int]]:
        then = self._of(set(map(id, containers)))
        return [
            (container, (raw.length(container) or 0) - then[id(container)])
            for container in containers
            if id(container) in then
        ]

    def _of(self, ids: set[int]) -> dict[int, int]:
        """Return the lengths of those that are known."""
        found = {held: self.long[held] for held in ids & self.long.keys()}
        others = ids - found.keys()
        if others:
            places = compress(count(), map(others.__contains__, self._ids))
            found.update((self._ids[place], self._lengths[place]) for place in places)
        return found


def _namespaces() -> list[Any]:
    return [raw.instance_dict(module) for _, module in raw.modules()]


def untracked_dicts(holders: Iterable[Any]) -> list[dict[Any, Any]]:
    """Return dicts that some objects refer to and that the garbage collector does not track.

    Args:
        holders: the objects.
    """
    held = list(filterfalse(gc.is_tracked, raw.referents(*holders)))
    return list(compress(held, map(is_, map(type, held), repeat(dict))))
