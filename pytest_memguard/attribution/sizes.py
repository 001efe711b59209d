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
_HARMLESS: Final = ("typing", "typing_extensions")
"""Modules with metaclasses whose hash is known to be that of any type."""

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
            deadline: by `time.thread_time`; what is not looked at then is not known.
        """
        self._tracked = _Lengths()
        self._untracked = _Lengths()
        self._skipped = _Skipped()
        census = _Census()
        looked_at = 0
        self._add_untracked(_namespaces())
        for chunk in _chunks(objects, deadline):
            kinds = census.count(chunk)
            containers, lengths = census.containers(chunk, kinds)
            self._tracked.add(containers, lengths)
            self._skipped.learn(census, containers, lengths)
            self._add_untracked(self._skipped.without(chunk, kinds, census))
            looked_at += len(chunk)
        self.total = len(objects)
        self.complete = looked_at == self.total
        self.counts = census.by_name()
        self._odd = census.odd()

    def _add_untracked(self, holders: Sequence[Any]) -> None:
        dicts = _untracked_dicts(holders)
        self._untracked.add(dicts, list(map(len, dicts)))

    def grown(
        self, objects: Sequence[Any], least: int, new: set[int], deadline: float, *, count: bool
    ) -> tuple[Grown, Counter[str]]:
        """Containers of the start that have grown, and how many objects there are now.

        Args:
            objects: those that the garbage collector follows now.
            least: growth to care about.
            new: ids of the objects that it did not follow at the start. A dict among them
                may be an old one: those that hold nothing worth following are not followed.
            deadline: by `time.thread_time`.
            count: whether to count objects by type.
        """
        large: list[Any] = []
        census = _Census(self._odd)
        for chunk in _chunks(objects, deadline):
            kinds = census.count(chunk) if count else census.kinds(chunk)
            containers, lengths = census.containers(chunk, kinds)
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
        census = _Census()
        for chunk in _chunks(objects, deadline):
            kinds = census.kinds(chunk)
            for mapping in _untracked_dicts(self._skipped.without(chunk, kinds, census)):
                if len(mapping) >= least:
                    found[id(mapping)] = mapping
        return self._untracked.grown(list(found.values()), least)


def _chunks(objects: Sequence[Any], deadline: float) -> Iterator[Sequence[Any]]:
    """Portions that are looked at in some milliseconds, until the time is over."""
    for start in range(0, len(objects), _CHUNK):
        if time.thread_time() > deadline:
            return
        yield objects[start : start + _CHUNK]


class _Census:
    """Counts objects by type, and picks out the containers.

    Hashing a type may run its metaclass's code. Where there is such a metaclass, types are
    told apart by their ids, which takes twice as long.

    Args:
        odd: types of containers that are known beforehand, beside the plain ones.
    """

    def __init__(self, odd: Sequence[type] = ()) -> None:
        self._by_id = not _types_hash_alike()
        self._counts: Counter[Any] = Counter()
        self._types: dict[Any, type] = {}
        self._codes = {self._key(kind): _ODD for kind in odd}
        self._codes.update({self._key(kind): _PLAIN for kind in raw.PLAIN})

    def _key(self, kind: type) -> Any:
        return id(kind) if self._by_id else kind

    def kinds(self, chunk: Sequence[Any]) -> list[Any]:
        """Something that stands for the type, for each."""
        types = map(type, chunk)
        return list(map(id, types)) if self._by_id else list(types)

    def count(self, chunk: Sequence[Any]) -> list[Any]:
        """Count all in.

        Returns:
            What stands for their types.
        """
        kinds = self.kinds(chunk)
        self._counts.update(kinds)
        if len(self._counts) > len(self._types):
            examples = dict(zip(kinds, chunk, strict=True))
            for kind in self._counts.keys() - self._types.keys():
                self._types[kind] = cls = type(examples[kind])
                if raw.measure(cls) is not None and not issubclass(cls, raw.FIXED):
                    self._codes.setdefault(kind, _ODD)
        return kinds

    def containers(self, chunk: Sequence[Any], kinds: list[Any]) -> tuple[list[Any], list[int]]:
        """Containers and their lengths."""
        codes = list(map(self._codes.get, kinds))
        if _ODD not in codes:
            plain = list(compress(chunk, codes))
            return (plain, list(map(len, plain)))
        plain = list(compress(chunk, map(is_, codes, repeat(_PLAIN))))
        odd = list(compress(chunk, map(is_, codes, repeat(_ODD))))
        lengths = [raw.length(held) or 0 for held in odd]
        return (plain + odd, [*map(len, plain), *lengths])

    def common(self, least: int) -> list[type]:
        """Types of which there are more objects than that."""
        return [self._types[kind] for kind, count in self._counts.items() if count > least]

    def odd(self) -> list[type]:
        """Types of containers found so far, beside the plain ones."""
        codes = self._codes
        return [kind for key, kind in self._types.items() if codes.get(key) == _ODD]

    def keys(self, types: Sequence[type]) -> set[Any]:
        """What stands for these types."""
        return {self._key(kind) for kind in types}

    def by_name(self) -> Counter[str]:
        """Counts by type name: classes made anew in every call share theirs."""
        named: Counter[str] = Counter()
        for kind, count in self._counts.items():
            named[raw.type_name(self._types[kind])] += count
        return named


def _types_hash_alike() -> bool:
    """Whether no class has a metaclass with a hash or an equality of its own."""
    seen = {id(object)}
    found: list[type] = [object]
    for cls in found:
        if type(cls) is not type and _hashes_differently(type(cls)):
            return False
        fresh = [below for below in _subclasses(cls) if id(below) not in seen]
        seen.update(map(id, fresh))
        found += fresh
    return True


def _hashes_differently(meta: type) -> bool:
    own = [base for base in raw.mro(meta) if base is not type and base is not object]
    return any(
        name in raw.namespace(base) and raw.class_name(base)[0] not in _HARMLESS
        for base in own
        for name in ("__hash__", "__eq__")
    )


def _subclasses(cls: type) -> list[type]:
    try:
        return type.__subclasses__(cls)
    except TypeError:  # a class that is only half made
        return []


class _Skipped:
    """Objects that are taken for data, and not asked for registries that they may hold."""

    def __init__(self) -> None:
        self._common: list[type] = []
        self._huge: set[int] = set()

    def learn(self, census: _Census, containers: list[Any], lengths: list[int]) -> None:
        """Add types of which there are very many, and very long containers."""
        # not dict: that of a module, say
        self._common = [kind for kind in census.common(_COMMON) if kind is not dict]
        if max(lengths, default=0) > _HUGE:
            pairs = zip(containers, lengths, strict=True)
            self._huge |= {id(held) for held, length in pairs if length > _HUGE}

    def without(self, chunk: Sequence[Any], kinds: list[Any], census: _Census) -> Sequence[Any]:
        """All but those."""
        if self._common:
            skipped = census.keys(self._common)
            chunk = list(compress(chunk, map(not_, map(skipped.__contains__, kinds))))
        if self._huge and not self._huge.isdisjoint(map(id, chunk)):
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
