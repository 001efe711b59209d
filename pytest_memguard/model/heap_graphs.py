"""A heap of JavaScript objects as V8 writes it, and what has grown between two of them."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Final

from pytest_memguard.values import dataclass

_NAMED_BY_CLASS: Final = frozenset(("object", "native", "synthetic"))
_GROUPS: Final = {
    "concatenated string": "(string)",
    "sliced string": "(string)",
    "hidden": "(system)",
    "object shape": "(system)",
}
"""Types of V8 that are one thing to a reader."""
_INDEXED: Final = frozenset(("element", "hidden"))


@dataclass(frozen=True, slots=True, kw_only=True)
class HeapGraph:
    """Objects, numbered from 0 (the root), and the references between them."""

    strings: list[str]
    """All names."""
    types: list[str]
    """Types of objects: object, closure, string and so on."""
    edge_types: list[str]
    """Types of references: property, element, context, weak and so on."""
    type: array[int]
    """The type of each object, by its place in `types`."""
    name: array[int]
    """Its name, by its place in `strings`."""
    id: array[int]
    """Its number, which it keeps as long as it lives."""
    size: array[int]
    """Its own bytes."""
    first_edge: array[int]
    """Where its references begin; one more than there are objects."""
    edge_type: array[int]
    """The type of each reference, by its place in `edge_types`."""
    edge_name: array[int]
    """Its name, by its place in `strings`, or an index."""
    target: array[int]
    """The object that it refers to."""

    @property
    def count(self) -> int:
        """Number of objects."""
        return len(self.type)

    def class_names(self) -> list[str]:
        """Return the constructor of each object, or in brackets what else it is."""
        names = [_GROUPS.get(kind, f"({kind})") for kind in self.types]
        by_class = {n for n, kind in enumerate(self.types) if kind in _NAMED_BY_CLASS}
        strings = self.strings
        return [
            strings[name] if kind in by_class else names[kind]
            for kind, name in zip(self.type, self.name, strict=True)
        ]

    def edges_of(self, node: int) -> Iterator[int]:
        """Return the references of an object."""
        yield from range(self.first_edge[node], self.first_edge[node + 1])

    def edge_text(self, edge: int) -> str:
        """Return the name or the index of a reference."""
        kind, name = self.edge_types[self.edge_type[edge]], self.edge_name[edge]
        return str(name) if kind in _INDEXED else self.strings[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldBy:
    """The shortest chain of references from a root to some objects."""

    path: str
    """The chain."""
    share: float
    """The share of the objects that have such a chain, indexes aside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassGrowth:
    """How the objects of one constructor have grown."""

    name: str
    """The constructor, or in brackets what else they are."""
    count_before: int
    """Their number in the earlier snapshot."""
    count_after: int
    """Their number in the later one."""
    retained_before: int
    """Bytes that would have been free without them, in the earlier snapshot."""
    retained_after: int
    """The same in the later one."""
    new: int
    """Objects of the later snapshot that are not in the earlier one."""
    added: int
    """Bytes that these retain, less what those had retained that are gone since."""
    held_by: HeldBy | None = None
    """What keeps the new ones; ``None`` if they are garbage, or weakly held."""

    @property
    def count_growth(self) -> int:
        """By how many they have become more."""
        return self.count_after - self.count_before

    @property
    def retained_growth(self) -> int:
        """By how many bytes they retain more."""
        return self.retained_after - self.retained_before


@dataclass(frozen=True, slots=True, kw_only=True)
class HolderGrowth:
    """One object under which memory has gathered: without it, that would be free."""

    name: str
    """Its constructor."""
    id: int
    """Its number."""
    added: int
    """Bytes of the new objects that only it keeps."""
    objects: int
    """Their number."""
    retained: int
    """Bytes of all that only it keeps."""
    path: str
    """The shortest chain of references from a root to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeapGrowth:
    """What has grown from one snapshot to another."""

    size_before: int
    """Bytes of all objects in the earlier one."""
    size_after: int
    """Bytes in the later one."""
    count_before: int
    """Objects in the earlier one."""
    count_after: int
    """Objects in the later one."""
    same_process: bool
    """Whether both are of one process, so that new objects can be distinguished."""
    classes: tuple[ClassGrowth, ...]
    """Constructors that grew in number and in retained bytes, the largest growth first."""
    holders: tuple[HolderGrowth, ...]
    """Objects under which the growth has gathered."""
