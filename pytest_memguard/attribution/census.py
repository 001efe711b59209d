"""Finds the types of very many objects: counts them, and selects containers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import compress
from typing import Any, Final

from pytest_memguard.attribution import raw

_PLAIN: Final = 1
_ODD: Final = 2
_NO_HOLDER: Final = 4
_CODES: Final = range(256)
# a string of codes is turned into one of yes and no at once
_IS_PLAIN: Final = bytes(code & 3 == _PLAIN for code in _CODES)
_IS_ODD: Final = bytes(code & 3 == _ODD for code in _CODES)
_IS_HOLDER: Final = bytes(not code & _NO_HOLDER for code in _CODES)
_HARMLESS: Final = ("typing", "typing_extensions")
"""Modules with metaclasses whose hash is known to be that of any type."""


class Portion:
    """Some objects, with a code for the type of each.

    Args:
        objects: the objects.
        codes: a byte for each, by `Census`.
    """

    def __init__(self, objects: Sequence[Any], codes: bytes) -> None:
        self.objects = objects
        self._codes = codes

    def containers(self) -> tuple[list[Any], list[int]]:
        """Return containers and their lengths."""
        plain = list(compress(self.objects, self._codes.translate(_IS_PLAIN)))
        lengths = list(map(len, plain))
        is_odd = self._codes.translate(_IS_ODD)
        if 1 in is_odd:
            odd = list(compress(self.objects, is_odd))
            plain += odd
            lengths += [raw.length(held) or 0 for held in odd]
        return (plain, lengths)

    def holders(self) -> Iterable[Any]:
        """Return all objects but those of types that are known to hold nothing of interest."""
        return compress(self.objects, self._codes.translate(_IS_HOLDER))


class Census:
    """Counts objects by type, and gives each type a code.

    Either all objects are counted, or one in a few, which is faster and gives estimates.

    Hashing a type may run code of its metaclass. If there is such a metaclass, types are
    distinguished by their ids, which is slower.

    Args:
        odd: types of containers that are known beforehand, beside the common ones.
        no_holders: types whose objects hold nothing of interest.
        every: one object in so many is counted.
    """

    def __init__(
        self, odd: Iterable[type] = (), no_holders: Iterable[type] = (), *, every: int = 1
    ) -> None:
        self._by_id = not _types_hash_alike()
        self._every = every
        self._counts: Counter[Any] = Counter()
        self._types: dict[Any, type] = {}
        self._codes: defaultdict[Any, int] = defaultdict(int)
        for code, kinds in ((_ODD, odd), (_PLAIN, raw.PLAIN)):
            for kind in kinds:
                self._types[self._key(kind)] = kind
                self._codes[self._key(kind)] = code
        self.no_holders: list[type] = []
        """Types whose objects hold nothing of interest."""
        self.leave_out(no_holders)

    def leave_out(self, types: Iterable[type]) -> None:
        """Treat objects of these types as holding nothing of interest from now on."""
        for kind in types:
            self._types[self._key(kind)] = kind
            if not self._codes[self._key(kind)] & _NO_HOLDER:
                self._codes[self._key(kind)] |= _NO_HOLDER
                self.no_holders.append(kind)

    def _key(self, kind: type) -> Any:
        return id(kind) if self._by_id else kind

    def _kinds(self, chunk: Sequence[Any]) -> Iterable[Any]:
        types = map(type, chunk)
        return map(id, types) if self._by_id else types

    def portion(self, chunk: Sequence[Any]) -> Portion:
        """Return some objects without counting them; unknown types are no containers."""
        return Portion(chunk, self._coded(self._kinds(chunk)))

    def counted(self, chunk: Sequence[Any]) -> Portion:
        """Return some objects, counted."""
        kinds = list(self._kinds(chunk))
        self._counts.update(kinds[:: self._every])
        codes = self._coded(kinds)
        if len(self._codes) > len(self._types):
            examples = dict(zip(kinds, chunk, strict=True))
            for kind in examples.keys() - self._types.keys():
                self._types[kind] = cls = type(examples[kind])
                if _is_container(cls) and not self._codes[kind] & _PLAIN:
                    self._codes[kind] |= _ODD
            codes = self._coded(kinds)
        return Portion(chunk, codes)

    def _coded(self, kinds: Iterable[Any]) -> bytes:
        return bytes(map(self._codes.__getitem__, kinds))

    def common(self, least: int) -> list[type]:
        """Return types of which there are more objects than a number."""
        least //= self._every
        common = compress(self._counts, map(least.__lt__, self._counts.values()))
        return [self._types[kind] for kind in common]

    def odd(self) -> list[type]:
        """Return types of containers found so far, beside the common ones."""
        codes = self._codes
        return [kind for key, kind in self._types.items() if codes[key] & _ODD]

    def by_name(self) -> Counter[str]:
        """Return counts by type name; classes that every call makes anew share a name."""
        named: Counter[str] = Counter()
        for kind, count in self._counts.items():
            named[raw.type_name(self._types[kind])] += count
        return named


def _is_container(cls: type) -> bool:
    return raw.measure(cls) is not None and not issubclass(cls, raw.FIXED)


def _types_hash_alike() -> bool:
    """Return whether no metaclass has a hash or an equality of its own."""
    seen = {id(object)}
    found: list[type] = [object]
    known: set[int] = set()  # of metaclasses, which live as long as the classes held here
    for cls in found:
        meta = type(cls)
        if meta is not type and id(meta) not in known:
            if _hashes_differently(meta):
                return False
            known.add(id(meta))
        fresh = [below for below in subclasses(cls) if id(below) not in seen]
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


def subclasses(cls: type) -> list[type]:
    """Return the direct subclasses of a class."""
    try:
        return type.__subclasses__(cls)
    except TypeError:  # a class that is only half made
        return []
