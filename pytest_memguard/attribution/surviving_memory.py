"""Reads surviving blocks: which one an address is in, what it is, and the words in it."""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from contextvars import Context
from types import BuiltinMethodType, MethodType
from typing import Any, Final
from weakref import ReferenceType

from pytest_memguard.attribution import raw
from pytest_memguard.attribution.census import subclasses
from pytest_memguard.attribution.dict_tables import SMALLEST_TABLE
from pytest_memguard.attribution.leak_lines import line_of_shared
from pytest_memguard.attribution.pieces import HEAD, WORD, Piece

_REFER_TO_NOTHING: Final = (str, bytes, int, float, complex)
_KEPT_FOR_REUSE: Final[tuple[type, ...]] = (
    *(dict, list, tuple, float, slice, Context, MethodType, BuiltinMethodType),
    *(type(iter([])), type(iter(()))),
)
"""Types of which a version of the interpreter keeps objects for reuse."""
_MOST_BYTES: Final = 1 << 23
"""The most bytes of one block that are read."""


class SurvivingMemory:
    """Knows what is in each surviving block, taken by itself.

    Args:
        pieces: the surviving blocks, by address.
        new: the new objects that the garbage collector tracks.
        read: reads a number of bytes at an address; returns no bytes if it is not mapped.
    """

    def __init__(
        self,
        pieces: Sequence[Piece],
        new: Iterable[Any],
        read: Callable[[int, int], bytes],
    ) -> None:
        self._starts = array("Q", (piece.address for piece in pieces))
        # the table of a list that was emptied is a block of no bytes
        self._ends = array("Q", (piece.address + max(1, piece.size) for piece in pieces))
        self._pieces = pieces
        self._read = read
        self._low = self._starts[0] if pieces else 0
        self._high = max(self._ends, default=0)
        self._types, self._unfollowed = type_ids()
        self._tracked: dict[int, Any] = {}
        for held in new:
            index = self._index(id(held))
            if index is not None:
                self._tracked[index] = held
        self._objects: dict[int, bool] = {}

    @property
    def tracked(self) -> dict[int, Any]:
        """Return the new objects that the collector tracks, by their blocks."""
        return self._tracked

    @property
    def own(self) -> set[int]:
        """Return the ids of objects here that hold others."""
        return {id(self), id(vars(self)), id(self._tracked), id(self._pieces)}

    def objects(self, indices: Iterable[int]) -> list[Any]:
        """Return the objects in some blocks that the garbage collector tracks."""
        return [self._tracked[index] for index in indices if index in self._tracked]

    def object_ids(self, indices: Iterable[int]) -> set[int]:
        """Return the addresses of objects in some blocks, and of what lies in front of them."""
        objects = [index for index in indices if self.is_object(index)]
        found = {self._starts[index] for index in objects}
        found |= {start + HEAD for start in found}
        return found | {id(self._tracked[index]) for index in objects if index in self._tracked}

    def plain_objects(self, ids: Iterable[int]) -> set[int]:
        """Return the indices of the blocks of untracked objects."""
        return {index for index in self.indices_of(ids) if index not in self._tracked}

    def indices_of(self, ids: Iterable[int]) -> set[int]:
        """Return the indices of the blocks of some objects."""
        found = {self._index(one) for one in ids}
        return {index for index in found if index is not None}

    def native(self, indices: Iterable[int]) -> list[int]:
        """Return the addresses of those blocks that C code has allocated for itself."""
        return [
            self._starts[index]
            for index in indices
            if self._pieces[index].in_c_heap and not self.is_object(index)
        ]

    def is_of_c_library(self, index: int) -> bool:
        """Return whether a block is from the C library, and not through Python's allocators."""
        piece = self._pieces[index]
        return piece.in_c_heap and not piece.of_python

    def size(self, index: int) -> int:
        """Return the bytes of a block."""
        return self._pieces[index].size

    def is_new(self, held: object) -> bool:
        """Return whether an object is in one of the blocks."""
        return self._index(id(held)) is not None

    def referred_to(self, weak: Iterable[Any]) -> set[int]:
        """Return the indices of the blocks that weak references refer to."""
        held = (ReferenceType.__call__(reference) for reference in weak)
        found = {self._index(id(one)) for one in held if one is not None}
        return {index for index in found if index is not None}

    def is_object(self, index: int) -> bool:
        """Return whether a block is a Python object, tracked or not."""
        if index not in self._objects:
            head = array("Q")
            size = min(self._ends[index] - self._starts[index], 4 * WORD) // WORD * WORD
            head.frombytes(self._read(self._starts[index], size))
            kinds = {word for word in head[1::2] if word in self._types}
            self._objects[index] = index in self._tracked or bool(kinds)
        return self._objects[index]

    def may_be_reused(self, index: int) -> bool:
        """Return whether a block is an object, or a table, that the interpreter may reuse.

        The interpreter keeps the smallest tables of dicts for reuse, as it keeps dicts. An
        object of another type written in C was reused if the calls did not allocate it.
        """
        held = self._tracked.get(index)
        if held is not None:
            if raw.is_exactly(held, *_KEPT_FOR_REUSE):
                return True
            return not self._pieces[index].stack and not raw.is_made_in_python(type(held))
        if self._pieces[index].size == SMALLEST_TABLE:
            return not self.is_object(index)
        if self._is_a(tuple, self._starts[index] + HEAD):
            return True  # the collector does not follow those of numbers and texts
        return self.is_plain_dict(index) or self._is_a(float, self._starts[index])

    def is_plain_dict(self, index: int) -> bool:
        """Return whether a block is a dict that the garbage collector does not track."""
        return index not in self._tracked and self._is_a(dict, self._starts[index] + HEAD)

    def words_in(self, held: Any) -> set[int]:
        """Return the words of an object's own memory, mostly addresses."""
        size = raw.basic_size(type(held)) // WORD * WORD
        words = array("Q")
        words.frombytes(self._read(id(held), size))
        return set(words)

    def words_of(self, index: int) -> list[int]:
        """Return the words of a block that may be pointers into surviving blocks."""
        size = self._ends[index] - self._starts[index]
        return self._words(self._starts[index], min(size, _MOST_BYTES))

    def is_of_unfollowed_type(self, index: int) -> bool:
        """Return whether a block is an object of a type that the collector cannot follow."""
        kind = self._read(self._starts[index] + WORD, WORD)
        found = int.from_bytes(kind, sys.byteorder)
        return found in self._unfollowed and index not in self._tracked

    def _is_a(self, kind: type, address: int) -> bool:
        """Return whether there is an object of a builtin type at an address."""
        found = self._read(address + WORD, WORD)
        return int.from_bytes(found, sys.byteorder) == id(kind)

    def _are_of_one_line(self, one: int, other: int) -> bool:
        pieces = self._pieces
        return line_of_shared(pieces[one].stack) == line_of_shared(pieces[other].stack)

    def _pointers(self, index: int) -> list[int]:
        size = self._ends[index] - self._starts[index]
        words = self._words(self._starts[index], min(size, _MOST_BYTES))
        found = {other for other in map(self._index, words) if other is not None}
        return list(found - {index})

    def _words(self, address: int, size: int) -> list[int]:
        """Return the words of memory that may be pointers into surviving blocks."""
        text = self._read(address, size // WORD * WORD)
        words = array("Q")
        words.frombytes(text[: len(text) // WORD * WORD])
        low, high = self._low, self._high
        return [word for word in words if low <= word < high]

    def _index(self, address: int) -> int | None:
        """Return the index of the block that contains an address."""
        at = bisect_right(self._starts, address) - 1
        return at if at >= 0 and address < self._ends[at] else None


def type_ids() -> tuple[frozenset[int], frozenset[int]]:
    """Return the ids of all types, and of those whose objects the collector cannot follow.

    Those of texts and numbers, which refer to nothing, are not among the latter.
    """
    found: dict[int, type] = {id(object): object}
    waiting: list[type] = [object]
    while waiting:
        for below in subclasses(waiting.pop()):
            if id(below) not in found:
                found[id(below)] = below
                waiting.append(below)
    unfollowed = {
        key
        for key, kind in found.items()
        if not raw.has_header(kind) and not issubclass(kind, _REFER_TO_NOTHING)
    }
    return (frozenset(found), frozenset(unfollowed))
