"""How many objects of each type there are, and how large the containers: then and now."""

from __future__ import annotations

import gc
import time
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import compress, filterfalse, repeat
from operator import ge, is_, not_
from typing import Any, Final

from pytest_memguard.attribution import raw

_CHUNK: Final = 50_000
_HUGE: Final = 100_000
_COMMON: Final = 50_000
_PLAIN: Final = 1
_ODD: Final = 2

Grown = list[tuple[Any, int]]
"""Containers, and by how much they grew."""


class Sizes:
    """What was there at the start: counts by type, and the length of every container.

    Nothing is kept alive: containers are remembered by their ids, which mean something only
    together with the knowledge of which objects are new.
    """

    def __init__(self, objects: Sequence[Any], deadline: float) -> None:
        """Look at all of them.

        Args:
            objects: those that the garbage collector follows.
            deadline: by `time.perf_counter`; what is not looked at then is not known.
        """
        self._tracked = _Lengths()
        self._untracked = _Lengths()
        self._skipped = _Skipped()
        census = _Census()
        self._add_untracked(_namespaces())
        for chunk in _chunks(objects, deadline):
            kinds = census.count(chunk)
            containers, lengths = census.containers(chunk, kinds)
            self._tracked.add(containers, lengths)
            self._skipped.learn(census.counts, containers, lengths)
            self._add_untracked(self._skipped.without(chunk, kinds))
        self.complete = census.counts.total() == len(objects)
        self.counts = census.by_name()

    def _add_untracked(self, holders: Sequence[Any]) -> None:
        dicts = _untracked_dicts(holders)
        self._untracked.add(dicts, list(map(len, dicts)))

    def grown(
        self, objects: Sequence[Any], least: int, new: set[int], deadline: float
    ) -> tuple[Grown, Counter[str]]:
        """Containers of the start that have grown, and how many objects there are now.

        Args:
            objects: those that the garbage collector follows now.
            least: growth to care about.
            new: ids of the objects that it did not follow at the start. A dict among them
                may be an old one: those that hold nothing worth following are not followed.
            deadline: by `time.perf_counter`.
        """
        large: list[Any] = []
        census = _Census()
        for chunk in _chunks(objects, deadline):
            containers, lengths = census.containers(chunk, census.count(chunk))
            large += compress(containers, map(ge, lengths, repeat(least)))
        old = [held for held in large if id(held) not in new]
        fresh = [held for held in large if id(held) in new and type(held) is dict]
        grown = self._tracked.grown(old, least) + self._untracked.grown(fresh, least)
        return (grown, census.by_name())

    def grown_untracked(self, objects: Sequence[Any], least: int, deadline: float) -> Grown:
        """Dicts of the start that the garbage collector does not follow, and have grown.

        Those that module variables hold come first, and if there are any, alone: it is a
        matter of milliseconds.
        """
        near = {id(held): held for held in _untracked_dicts(_namespaces())}
        grown = self._untracked.grown(list(near.values()), least)
        if grown:
            return grown
        found: dict[int, Any] = {}
        for chunk in _chunks(objects, deadline):
            kinds = list(map(id, map(type, chunk)))
            for mapping in _untracked_dicts(self._skipped.without(chunk, kinds)):
                if len(mapping) >= least:
                    found[id(mapping)] = mapping
        return self._untracked.grown(list(found.values()), least)


def _chunks(objects: Sequence[Any], deadline: float) -> Iterator[Sequence[Any]]:
    """Portions that are looked at in some milliseconds, until the time is over."""
    for start in range(0, len(objects), _CHUNK):
        if time.perf_counter() > deadline:
            return
        yield objects[start : start + _CHUNK]


class _Census:
    """Counts objects by type, and picks out the containers.

    Types are told apart by their ids: hashing a type may run its metaclass's code.
    """

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()
        self._types: dict[int, type] = {}
        self._codes = {id(kind): _PLAIN for kind in raw.PLAIN}

    def count(self, chunk: Sequence[Any]) -> list[int]:
        """Count all in.

        Returns:
            The ids of their types.
        """
        kinds = list(map(id, map(type, chunk)))
        self.counts.update(kinds)
        if len(self.counts) > len(self._types):
            examples = dict(zip(kinds, chunk, strict=True))
            for kind in self.counts.keys() - self._types.keys():
                self._types[kind] = cls = type(examples[kind])
                if raw.measure(cls) is not None and not issubclass(cls, raw.FIXED):
                    self._codes.setdefault(kind, _ODD)
        return kinds

    def containers(self, chunk: Sequence[Any], kinds: list[int]) -> tuple[list[Any], list[int]]:
        """Containers and their lengths."""
        codes = list(map(self._codes.get, kinds))
        if _ODD not in codes:
            plain = list(compress(chunk, codes))
            return (plain, list(map(len, plain)))
        plain = list(compress(chunk, map(is_, codes, repeat(_PLAIN))))
        odd = list(compress(chunk, map(is_, codes, repeat(_ODD))))
        lengths = [raw.length(held) or 0 for held in odd]
        return (plain + odd, [*map(len, plain), *lengths])

    def by_name(self) -> Counter[str]:
        """Counts by type name: classes made anew in every call share theirs."""
        named: Counter[str] = Counter()
        for kind, count in self.counts.items():
            named[raw.type_name(self._types[kind])] += count
        return named


class _Skipped:
    """Objects that are taken for data, and not asked for registries that they may hold."""

    def __init__(self) -> None:
        self._kinds: set[int] = set()
        self._huge: set[int] = set()

    def learn(self, counts: Counter[int], containers: list[Any], lengths: list[int]) -> None:
        """Add types of which there are very many, and very long containers."""
        self._kinds = {kind for kind, count in counts.items() if count > _COMMON}
        self._kinds.discard(id(dict))  # that of a module, say
        if max(lengths, default=0) > _HUGE:
            pairs = zip(containers, lengths, strict=True)
            self._huge |= {id(held) for held, length in pairs if length > _HUGE}

    def without(self, chunk: Sequence[Any], kinds: list[int]) -> Sequence[Any]:
        """All but those."""
        if self._kinds:
            chunk = list(compress(chunk, map(not_, map(self._kinds.__contains__, kinds))))
        if self._huge:
            chunk = [held for held in chunk if id(held) not in self._huge]
        return chunk


class _Lengths:
    """Lengths by id, in a tenth of the room that a dict would take."""

    def __init__(self) -> None:
        self._ids = array("Q")
        self._lengths = array("Q")

    def add(self, containers: list[Any], lengths: list[int]) -> None:
        self._ids.fromlist(list(map(id, containers)))
        self._lengths.fromlist(lengths)

    def grown(self, containers: list[Any], least: int) -> Grown:
        wanted = {id(container) for container in containers}
        then = dict(
            compress(
                zip(self._ids, self._lengths, strict=True),
                map(wanted.__contains__, self._ids),
            )
        )
        changes = (
            (container, (raw.length(container) or 0) - then[id(container)])
            for container in containers
            if id(container) in then
        )
        return [(container, growth) for container, growth in changes if growth >= least]


def _namespaces() -> list[Any]:
    return [raw.instance_dict(module) for _, module in raw.modules()]


def _untracked_dicts(objects: Sequence[Any]) -> list[dict[Any, Any]]:
    referents = gc.get_referents(*objects)
    dicts = compress(referents, map(is_, map(type, referents), repeat(dict)))
    return list(filterfalse(gc.is_tracked, dicts))
