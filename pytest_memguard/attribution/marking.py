"""Divides the blocks that stayed among what holds them, by following pointers in memory.

The garbage collector tells which objects a container refers to, but nothing of their buffers,
of memory that C code has taken, or of objects that it does not follow. Here each word of a
block is taken for a pointer if it leads into another block that stayed, as conservative
collectors do. References to memory that was there before the calls are not followed, so one
holder does not reach what another one holds.
"""

from __future__ import annotations

import gc
import sys
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol
from weakref import ReferenceType

from pytest_memguard.attribution import raw
from pytest_memguard.attribution.census import subclasses
from pytest_memguard.attribution.dict_tables import SMALLEST_TABLE
from pytest_memguard.attribution.leak_lines import line_of_shared
from pytest_memguard.values import dataclass

_WORD: Final = 8
_HEAD: Final = 16
"""Bytes in front of an object that the collector follows: links to other such objects."""
_VALUES_IN_DICT: Final = 5 * _WORD
"""Where in a dict the pointer to its values is, if another object has its keys."""
_VALUES_FOLLOW_HEAD: Final = sys.version_info >= (3, 13)
"""Whether a word before a dict's values, and behind the address it has, counts them."""
_MOST_BYTES: Final = 1 << 23
"""Bytes of one block that are read."""


class Piece(Protocol):
    """A block, as `probes.living.Block` tells it."""

    @property
    def address(self) -> int:
        """Where it begins."""

    @property
    def size(self) -> int:
        """Its bytes."""

    @property
    def stack(self) -> tuple[tuple[str, str, int], ...]:
        """Function, file and line of every Python frame, innermost first."""

    @property
    def native(self) -> tuple[str, ...]:
        """C functions under the innermost Python frame, innermost first."""

    @property
    def of_python(self) -> bool:
        """Whether it is from Python's allocators."""

    @property
    def small(self) -> int:
        """Its bytes, if it lies in one of Python's arenas."""

    @property
    def block(self) -> int:
        """Bytes of each of several that are alike."""

    @property
    def in_c_heap(self) -> bool:
        """Whether the C library gave its memory out."""

    @property
    def of_instruments(self) -> bool:
        """Whether it is there because allocations are followed."""

    @property
    def count(self) -> int:
        """How many blocks this is."""

    @property
    def part(self) -> int:
        """Which part of the calls allocated it, from 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reused:
    """The memory of an object that the interpreter had kept for reuse: it is an old block."""

    address: int
    """Where it begins."""
    size: int
    """Its bytes."""
    stack: tuple[tuple[str, str, int], ...] = ()
    """Nothing: it was not allocated by these calls."""
    native: tuple[str, ...] = ()
    """Likewise."""
    of_python: bool = True
    """It is one of Python's."""
    in_c_heap: bool = False
    """It is small."""
    of_instruments: bool = False
    """An object of the calls lies in it."""
    small: int = 0
    """It was in an arena before."""
    block: int = 0
    """It is one."""
    count: int = 1
    """One block."""
    part: int = 0
    """Not known: it is an old block."""


def with_reused(pieces: Sequence[Piece], new: Iterable[Any]) -> list[Piece]:
    """The blocks, and those that new objects got again, by address.

    Args:
        pieces: the blocks that stayed, by address.
        new: the objects that were not there before.
    """
    starts = array("Q", (piece.address for piece in pieces))
    more = []
    for held in new:
        at = bisect_right(starts, id(held)) - 1
        if at < 0 or id(held) >= pieces[at].address + pieces[at].size:
            size = _HEAD + max(_WORD, raw.basic_size(type(held)))
            more.append(Reused(address=id(held) - _HEAD, size=size))
    return sorted([*pieces, *more], key=lambda piece: piece.address)


class Marker:
    """Finds out which blocks an object holds.

    What an object that the collector follows refers to, it tells itself. Of its buffers only
    further buffers from the same line are taken from memory: they may have room at the end,
    where pointers of former owners lie. All other memory is taken as it is.

    Args:
        pieces: the blocks that stayed, by address.
        new: the objects that the garbage collector follows and that were not there before.
        read: reads memory: so many bytes from an address, or none.
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
        self._types = type_ids()
        self._tracked: dict[int, Any] = {}
        for held in new:
            index = self._index(id(held))
            if index is not None:
                self._tracked[index] = held
        self._below: dict[tuple[int, bool], list[tuple[int, bool]]] = {}
        self._objects: dict[int, bool] = {}

    @property
    def own(self) -> set[int]:
        """Ids of what holds objects here."""
        return {id(self), id(vars(self)), id(self._tracked), id(self._pieces)}

    def held_by(self, holder: Any) -> set[int]:
        """Indices of the blocks that an object holds, directly or through other new ones.

        Args:
            holder: a container that was there before, or a value.
        """
        return self._reached(self._roots(holder))

    def reached(self, index: int) -> set[int]:
        """Indices of a block and of those that it holds."""
        return self._reached([(index, False)])

    def below(self, index: int) -> set[int]:
        """Indices of the blocks that a block refers to itself."""
        return {other for other, _ in self._next(index, buffer=False)}

    def objects(self, indices: Iterable[int]) -> list[Any]:
        """The objects that lie in some of the blocks and that the collector follows."""
        return [self._tracked[index] for index in indices if index in self._tracked]

    def object_ids(self, indices: Iterable[int]) -> set[int]:
        """Where the objects among some blocks are, and where what lies in front of them is."""
        objects = [index for index in indices if self.is_object(index)]
        found = {self._starts[index] for index in objects}
        found |= {start + _HEAD for start in found}
        return found | {id(self._tracked[index]) for index in objects if index in self._tracked}

    def plain_objects(self, ids: Iterable[int]) -> set[int]:
        """Indices of the blocks of some objects, if the collector does not follow them."""
        return {index for index in self.indices_of(ids) if index not in self._tracked}

    def indices_of(self, ids: Iterable[int]) -> set[int]:
        """Indices of the blocks of some objects."""
        found = {self._index(one) for one in ids}
        return {index for index in found if index is not None}

    def native(self, indices: Iterable[int]) -> list[int]:
        """Where the blocks among some are that C code has taken for itself."""
        return [
            self._starts[index]
            for index in indices
            if self._pieces[index].in_c_heap and not self.is_object(index)
        ]

    def is_new(self, held: object) -> bool:
        """Whether an object lies in one of the blocks."""
        return self._index(id(held)) is not None

    def referred_to(self, weak: Iterable[Any]) -> set[int]:
        """Indices of the blocks of what weak references refer to."""
        held = (ReferenceType.__call__(reference) for reference in weak)
        found = {self._index(id(one)) for one in held if one is not None}
        return {index for index in found if index is not None}

    def is_object(self, index: int) -> bool:
        """Whether a block is a Python object, one that the collector follows or another."""
        if index not in self._objects:
            head = array("Q")
            size = min(self._ends[index] - self._starts[index], 4 * _WORD) // _WORD * _WORD
            head.frombytes(self._read(self._starts[index], size))
            kinds = {word for word in head[1::2] if word in self._types}
            self._objects[index] = index in self._tracked or bool(kinds)
        return self._objects[index]

    def may_be_reused(self, index: int) -> bool:
        """Whether a block is an object of a builtin type, or a table, that may be reused.

        The interpreter keeps the smallest tables of dicts, as it keeps dicts.
        """
        held = self._tracked.get(index)
        if held is not None:
            return not raw.is_made_in_python(type(held))
        if self._pieces[index].size == SMALLEST_TABLE:
            return not self.is_object(index)
        if self._is_a(tuple, self._starts[index] + _HEAD):
            return True  # the collector does not follow those of numbers and texts
        return self.is_plain_dict(index) or self._is_a(float, self._starts[index])

    def is_plain_dict(self, index: int) -> bool:
        """Whether a block is a dict that the collector does not follow."""
        return index not in self._tracked and self._is_a(dict, self._starts[index] + _HEAD)

    def words_in(self, held: Any) -> set[int]:
        """The words of an object's own memory: addresses, for the most part."""
        size = raw.basic_size(type(held)) // _WORD * _WORD
        words = array("Q")
        words.frombytes(self._read(id(held), size))
        return set(words)

    def buffers(self, container: Any) -> set[int]:
        """Indices of the blocks that are a container's own memory, not its items."""
        kind = type(container)
        words = self._words(id(container), raw.basic_size(kind))
        found = set(map(self._index, words)) - {self._index(id(container))}
        known = {index for index in found if index is not None}
        if kind is list:  # it refers to nothing else; a class in it would look like an object's
            return known
        values = self._values_of(container) if raw.has_words_in_front(kind) else set()
        return {index for index in known if not self.is_object(index)} | values

    def _values_of(self, held: Any) -> set[int]:
        """The block with the values of an instance's attributes, unless they are in a dict.

        If the first of them is a class, the block itself looks like an object of that class.
        """
        words = self._words(id(held) - 2 * _HEAD, _HEAD)
        found = {self._index(word) for word in words if not self._is_a(dict, word)}
        values = {index for index in found if index is not None and index not in self._tracked}
        # the object tells of all of them; what lies in front of them is not always written
        self._below.update({(index, True): [] for index in values})
        return values

    def _is_a(self, kind: type, address: int) -> bool:
        """Whether there is an object of a builtin type at an address."""
        found = self._read(address + _WORD, _WORD)
        return int.from_bytes(found, sys.byteorder) == id(kind)

    def _reached(self, start: Iterable[tuple[int, bool]]) -> set[int]:
        seen = set(start)
        waiting = list(seen)
        while waiting:
            index, buffer = waiting.pop()
            for step in self._next(index, buffer=buffer):
                if step not in seen:
                    seen.add(step)
                    waiting.append(step)
        return {index for index, _ in seen}

    def _next(self, index: int, *, buffer: bool) -> list[tuple[int, bool]]:
        """What a block refers to, and whether as its buffer, which refers to buffers alone."""
        key = (index, buffer)
        if key not in self._below:
            held = self._tracked.get(index)
            if held is not None:
                self._below[key] = self._of_tracked(held)
            elif not buffer and self.is_plain_dict(index):
                self._below[key] = self._of_plain_dict(index)
            else:
                found = self._pointers(index)
                if buffer:
                    found = [other for other in found if self._may_be_part(index, other)]
                self._below[key] = [(other, buffer) for other in found]
        return self._below[key]

    def _may_be_part(self, buffer: int, other: int) -> bool:
        """Whether a buffer may refer to a block: one of the same line, and no object."""
        if self.is_object(other):
            return False
        pieces = self._pieces
        return line_of_shared(pieces[buffer].stack) == line_of_shared(pieces[other].stack)

    def _of_tracked(self, held: Any) -> list[tuple[int, bool]]:
        """What an object refers to: objects, as it tells the collector, and buffers."""
        if issubclass(type(held), ReferenceType):
            return []
        parts = [held]
        if type(held) is raw.LRU_CACHE:
            # its results are in a dict of its own, by links that nothing else tells of
            parts += raw.tables(held)
        parts += self._in_old_memory(parts)
        found: list[tuple[int, bool]] = []
        for part in parts:
            told = map(self._index, map(id, referents(part)))
            found += [(index, False) for index in told if index is not None]
            found += [(index, True) for index in self.buffers(part)]
            found += [(index, False) for index in self._plain_objects(part)]
        if issubclass(type(held), type):  # a class does not tell of its names
            names = map(self._index, self._words(id(held), raw.basic_size(type(held))))
            found += [(index, False) for index in names if index is not None]
        return found

    def _in_old_memory(self, holders: Sequence[Any]) -> list[Any]:
        """Dicts and tuples that lie in memory the interpreter had kept, and have new contents.

        The collector does not follow them, so they are not among the new objects; what nothing
        else refers to belongs to what does.
        """
        told = [held for holder in holders for held in raw.referents(holder)]
        counts = _reference_counts(told)
        return [
            held
            for held, count in zip(told, counts, strict=True)
            if count <= _ONE_REFERENCE
            and raw.is_exactly(held, dict, tuple)
            and not gc.is_tracked(held)
            and self._index(id(held)) is None
        ]

    def _of_plain_dict(self, index: int) -> list[tuple[int, bool]]:
        """What a dict refers to that the collector does not follow: objects, and tables.

        Its values may be in a block of their own, which is not always written in front of
        them or behind, so that pointers of former owners lie there.
        """
        address = self._starts[index] + _HEAD + _VALUES_IN_DICT
        values = int.from_bytes(self._read(address, _WORD), sys.byteorder)
        table = self._index(values)
        if table is not None:
            found = {self._index(word) for word in self._values_at(values, table)} - {table}
            self._below[table, False] = [(other, False) for other in found if other is not None]
        return [(other, False) for other in self._pointers(index)]

    def _values_at(self, address: int, index: int) -> list[int]:
        """What may be pointers in a block of values, which a dict has at this address."""
        if _VALUES_FOLLOW_HEAD:
            return self._words(address + _WORD, _WORD * sum(self._read(address, 1)))
        return self._words(address, self._ends[index] - address)

    def _plain_objects(self, held: Any) -> list[int]:
        """Indices of objects in its own memory that the collector does not follow.

        Types written in C need not tell of those: `io.BytesIO` of its bytes, for one.
        """
        words = self._words(id(held), raw.basic_size(type(held)))
        found = {word: self._index(word) for word in words}
        return [
            index
            for word, index in found.items()
            if index is not None
            and self._starts[index] == word
            and index not in self._tracked
            and self.is_object(index)
        ]

    def _roots(self, holder: Any) -> list[tuple[int, bool]]:
        own = self._index(id(holder))
        found = self._of_tracked(holder)
        return found if own is None else [*found, (own, False)]

    def _pointers(self, index: int) -> list[int]:
        size = self._ends[index] - self._starts[index]
        words = self._words(self._starts[index], min(size, _MOST_BYTES))
        found = {other for other in map(self._index, words) if other is not None}
        return list(found - {index})

    def _words(self, address: int, size: int) -> list[int]:
        """What may be pointers into blocks that stayed."""
        text = self._read(address, size // _WORD * _WORD)
        words = array("Q")
        words.frombytes(text[: len(text) // _WORD * _WORD])
        low, high = self._low, self._high
        return [word for word in words if low <= word < high]

    def _index(self, address: int) -> int | None:
        """The block that an address lies in."""
        at = bisect_right(self._starts, address) - 1
        return at if at >= 0 and address < self._ends[at] else None


def _reference_counts(told: Sequence[Any]) -> list[int]:
    """How many references there are to each of some objects, ours among them."""
    return [sys.getrefcount(held) for held in told]


_HOLDER: Final[list[Any]] = [{}]
_ONE_REFERENCE: Final = _reference_counts(raw.referents(_HOLDER))[0]
"""What is counted of an object that one other refers to."""


def referents(held: Any) -> list[Any]:
    """What an object refers to; a dict does not tell the collector of keys that are text."""
    keys = [key for key, _ in raw.items(held)] if issubclass(type(held), dict) else []
    return [*raw.referents(held), *keys]


def type_ids() -> frozenset[int]:
    """Where the types are that there are."""
    found: dict[int, type] = {id(object): object}
    waiting: list[type] = [object]
    while waiting:
        for below in subclasses(waiting.pop()):
            if id(below) not in found:
                found[id(below)] = below
                waiting.append(below)
    return frozenset(found)
