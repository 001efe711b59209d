"""Finds which blocks an object holds, by following pointers in memory.

The garbage collector reports which objects a container refers to, but not their buffers, memory
that C code has allocated, or objects that it does not track. Here each word of a block that is
an address in another surviving block is taken for a pointer, as in conservative garbage
collectors. References to memory that existed before the calls are not followed, so that one
holder does not reach what another one holds.
"""

from __future__ import annotations

import gc
import sys
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, Final, Protocol
from weakref import ReferenceType

from pytest_memguard.attribution import raw
from pytest_memguard.attribution.census import subclasses
from pytest_memguard.attribution.dict_tables import SMALLEST_TABLE
from pytest_memguard.attribution.leak_lines import line_of_shared
from pytest_memguard.attribution.thread_locals import is_thread_local, stand_ins
from pytest_memguard.values import dataclass

_WORD: Final = 8
_HEAD: Final = 16
"""Bytes in front of an object that the garbage collector tracks: links to other such
objects."""
_VALUES_IN_DICT: Final = 5 * _WORD
"""Offset of a dict's pointer to its values, if another object has its keys."""
_VALUES_FOLLOW_HEAD: Final = sys.version_info >= (3, 13)
"""Whether a word with their number precedes a dict's values, and the address points after
it."""
_REFER_TO_NOTHING: Final = (str, bytes, int, float, complex)
_MOST_BYTES: Final = 1 << 23
"""The most bytes of one block that are read."""


class Piece(Protocol):
    """A block, such as `probes.block_tracker.Block`."""

    @property
    def address(self) -> int:
        """Its address."""

    @property
    def size(self) -> int:
        """Its bytes."""

    @property
    def stack(self) -> tuple[tuple[str, str, int], ...]:
        """Function, file and line of every Python frame, innermost first."""

    @property
    def native(self) -> tuple[str, ...]:
        """C functions called from the innermost Python frame, innermost first."""

    @property
    def of_python(self) -> bool:
        """Whether it is from Python's allocators."""

    @property
    def small(self) -> int:
        """Its bytes, if it is in one of Python's arenas; otherwise 0."""

    @property
    def block(self) -> int:
        """Bytes of each block, if there are several alike."""

    @property
    def in_c_heap(self) -> bool:
        """Whether its memory is from the C library."""

    @property
    def of_instruments(self) -> bool:
        """Whether it exists only because allocations are tracked."""

    @property
    def count(self) -> int:
        """Number of blocks."""

    @property
    def part(self) -> int:
        """Which part of the calls allocated it, from 0."""

    @property
    def tables(self) -> int:
        """Whether it is a table that was there before, and only its bytes are more: 1 or 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reused:
    """An old block, kept by the interpreter for reuse, that a new object has got."""

    address: int
    """Its address."""
    size: int
    """Its bytes."""
    stack: tuple[tuple[str, str, int], ...] = ()
    """Empty: these calls did not allocate it."""
    native: tuple[str, ...] = ()
    """Empty as well."""
    of_python: bool = True
    """It is from Python's allocators."""
    in_c_heap: bool = False
    """It is small."""
    of_instruments: bool = False
    """It contains an object of the calls."""
    small: int = 0
    """It was in an arena before."""
    block: int = 0
    """It is a single block."""
    count: int = 1
    """It is a single block."""
    part: int = 0
    """Unknown: it is an old block."""
    tables: int = 0
    """It is no table."""


def with_reused(pieces: Sequence[Piece], new: Iterable[Any]) -> list[Piece]:
    """Return the blocks together with old blocks that new objects have got, by address.

    Args:
        pieces: the surviving blocks, by address.
        new: the new objects.
    """
    starts = array("Q", (piece.address for piece in pieces))
    more = []
    for held in new:
        at = bisect_right(starts, id(held)) - 1
        if at < 0 or id(held) >= pieces[at].address + pieces[at].size:
            size = _HEAD + max(_WORD, raw.basic_size(type(held)))
            more.append(Reused(address=id(held) - _HEAD, size=size))
    return sorted([*pieces, *more], key=lambda piece: piece.address)


class BlockMarker:
    """Finds which surviving blocks an object holds.

    What a tracked object refers to is known from the garbage collector. Of its buffers, only
    further buffers from the same line are followed: a buffer may have unused space at its end
    with old pointers in it. What a C library has allocated for an object is followed to all
    that the library has allocated: each of its functions is called on a line of its own. All
    other memory is followed as it is.

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
        self._below: dict[tuple[int, bool], list[tuple[int, bool]]] = {}
        self._objects: dict[int, bool] = {}

    @property
    def tracked(self) -> dict[int, Any]:
        """Return the new objects that the collector tracks, by their blocks."""
        return self._tracked

    @property
    def own(self) -> set[int]:
        """Return the ids of objects here that hold others."""
        return {id(self), id(vars(self)), id(self._tracked), id(self._pieces)}

    def held_by(self, holder: Any, *, within_lines: bool = False) -> set[int]:
        """Return the indices of the blocks that an object holds, also through new ones.

        Args:
            holder: a container that existed before, or a value.
            within_lines: whether buffers are followed only to buffers from the same line, even
                in memory of a C library: a statement of SQLite refers to functions that belong
                to the connection.
        """
        return self._reached(self._roots(holder), within_lines=within_lines)

    def reached(self, index: int) -> set[int]:
        """Return the indices of a block and of those that it holds."""
        return self._reached([(index, False)])

    def below(self, index: int) -> set[int]:
        """Return the indices of the blocks that a block refers to directly."""
        return {other for other, _ in self._next(index, buffer=False)}

    def objects(self, indices: Iterable[int]) -> list[Any]:
        """Return the objects in some blocks that the garbage collector tracks."""
        return [self._tracked[index] for index in indices if index in self._tracked]

    def object_ids(self, indices: Iterable[int]) -> set[int]:
        """Return the addresses of objects in some blocks, and of what lies in front of them."""
        objects = [index for index in indices if self.is_object(index)]
        found = {self._starts[index] for index in objects}
        found |= {start + _HEAD for start in found}
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
            size = min(self._ends[index] - self._starts[index], 4 * _WORD) // _WORD * _WORD
            head.frombytes(self._read(self._starts[index], size))
            kinds = {word for word in head[1::2] if word in self._types}
            self._objects[index] = index in self._tracked or bool(kinds)
        return self._objects[index]

    def may_be_reused(self, index: int) -> bool:
        """Return whether a block is a builtin object, or a table, that may be reused.

        The interpreter keeps the smallest tables of dicts for reuse, as it keeps dicts.
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
        """Return whether a block is a dict that the garbage collector does not track."""
        return index not in self._tracked and self._is_a(dict, self._starts[index] + _HEAD)

    def words_in(self, held: Any) -> set[int]:
        """Return the words of an object's own memory, mostly addresses."""
        size = raw.basic_size(type(held)) // _WORD * _WORD
        words = array("Q")
        words.frombytes(self._read(id(held), size))
        return set(words)

    def words_of(self, index: int) -> list[int]:
        """Return the words of a block that may be pointers into surviving blocks."""
        size = self._ends[index] - self._starts[index]
        return self._words(self._starts[index], min(size, _MOST_BYTES))

    def is_of_unfollowed_type(self, index: int) -> bool:
        """Return whether a block is an object of a type that the collector cannot follow."""
        kind = self._read(self._starts[index] + _WORD, _WORD)
        found = int.from_bytes(kind, sys.byteorder)
        return found in self._unfollowed and index not in self._tracked

    def unreported(
        self, indices: set[int], ids: Collection[int]
    ) -> Iterator[tuple[int, int, int]]:
        """Yield blocks that refer to some objects, beside what the collector reports.

        Args:
            indices: the blocks; the tables of an object belong to it.
            ids: the ids of the objects.

        Yields:
            The index of a block, the id of an object, and the number of references.
        """
        left = set(indices)
        for index in sorted(indices & self._tracked.keys()):
            held = self._tracked[index]
            mine = {index} | (self.buffers(held) & left)
            reported = Counter(filter(ids.__contains__, map(id, raw.referents(held))))
            left -= mine
            if issubclass(type(held), ReferenceType):
                continue  # its memory points to what it does not keep
            more = self._counted(mine, ids) - reported
            yield from ((index, address, count) for address, count in more.items())
        for index in sorted(left):
            found = self._counted([index], ids)
            yield from ((index, address, count) for address, count in found.items())

    def _counted(self, indices: Iterable[int], ids: Collection[int]) -> Counter[int]:
        words = (word for index in indices for word in self.words_of(index))
        return Counter(filter(ids.__contains__, words))

    def buffers(self, container: Any) -> set[int]:
        """Return the indices of the blocks that are a container's own memory, not its items."""
        kind = type(container)
        words = self._words(id(container), raw.basic_size(kind))
        found = set(map(self._index, words)) - {self._index(id(container))}
        known = {index for index in found if index is not None}
        if kind is list or kind is dict:  # a class in their tables would look like an object's
            return known
        values = self._values_of(container) if raw.has_words_in_front(kind) else set()
        return {index for index in known if not self.is_object(index)} | values

    def tables(self, objects: Iterable[Any]) -> set[int]:
        """Return the indices of the blocks that some objects report as their own memory.

        Args:
            objects: the objects.
        """
        return set().union(*map(self.buffers, filter(_has_tables, objects)))

    def attribute_values(self, indices: set[int]) -> set[int]:
        """Return which of some blocks have the attributes of instances that are among them."""
        instances = filter(_has_words_in_front, self.objects(indices))
        return indices & set().union(*map(self._values_of, instances))

    def _values_of(self, held: Any) -> set[int]:
        """Return the block with an instance's attributes, unless they are in a dict.

        If the first value is a class, the block itself looks like an object of that class.
        """
        words = self._words(id(held) - 2 * _HEAD, _HEAD)
        found = {self._index(word) for word in words if not self._is_a(dict, word)}
        values = {index for index in found if index is not None and index not in self._tracked}
        # the object refers to all of them; the words before them are not always written
        self._below.update({(index, True): [] for index in values})
        return values

    def _is_a(self, kind: type, address: int) -> bool:
        """Return whether there is an object of a builtin type at an address."""
        found = self._read(address + _WORD, _WORD)
        return int.from_bytes(found, sys.byteorder) == id(kind)

    def _reached(
        self, start: Iterable[tuple[int, bool]], *, within_lines: bool = False
    ) -> set[int]:
        seen = set(start)
        waiting = list(seen)
        while waiting:
            index, buffer = waiting.pop()
            for step in self._next(index, buffer=buffer):
                leaves = within_lines and buffer and not self._are_of_one_line(index, step[0])
                if step not in seen and not leaves:
                    seen.add(step)
                    waiting.append(step)
        return {index for index, _ in seen}

    def _next(self, index: int, *, buffer: bool) -> list[tuple[int, bool]]:
        """Return what a block refers to, and whether as its buffer.

        A buffer refers only to further buffers.
        """
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
        """Return whether a buffer may refer to a block, which is no object.

        The block is from the same line, or both are from a C library.
        """
        if self.is_object(other):
            return False
        if self.is_of_c_library(buffer) and self.is_of_c_library(other):
            return True
        return self._are_of_one_line(buffer, other)

    def _are_of_one_line(self, one: int, other: int) -> bool:
        pieces = self._pieces
        return line_of_shared(pieces[one].stack) == line_of_shared(pieces[other].stack)

    def _of_tracked(self, held: Any) -> list[tuple[int, bool]]:
        """Return what a tracked object refers to: objects and buffers."""
        if issubclass(type(held), ReferenceType):
            # it keeps its callback, and those of a class of their own their attributes; but its
            # memory points to what it refers to weakly
            indexes = map(self._index, map(id, raw.referents(held)))
            return [(index, False) for index in indexes if index is not None]
        parts = [held]
        if type(held) is raw.LRU_CACHE:
            # its results are in a dict of its own, by links that nothing else reports
            parts += raw.tables(held)
        parts += self._in_old_memory(parts)
        found: list[tuple[int, bool]] = []
        for part in parts:
            indexes = map(self._index, map(id, referents(part)))
            found += [(index, False) for index in indexes if index is not None]
            found += [(index, True) for index in self.buffers(part)]
            found += [(index, False) for index in self._plain_objects(part)]
        if issubclass(type(held), type):  # a class does not report its names
            found += self._in_own_memory(held)
        if is_thread_local(held):  # nor a local the functions that clear up after it
            found += self._in_own_memory(held)
            found += [(index, False) for index in self.indices_of(map(id, stand_ins(held)))]
        return found

    def _in_own_memory(self, held: Any) -> list[tuple[int, bool]]:
        """Return what the words of an object's own memory point to."""
        words = map(self._index, self._words(id(held), raw.basic_size(type(held))))
        return [(index, False) for index in words if index is not None]

    def _in_old_memory(self, holders: Sequence[Any]) -> list[Any]:
        """Return untracked dicts and tuples in reused memory, whose contents are new.

        The garbage collector does not track them, so they are not among the new objects.
        Whatever nothing else refers to belongs to the object that refers to them.
        """
        held_objects = [held for holder in holders for held in raw.referents(holder)]
        counts = reference_counts(held_objects)
        return [
            held
            for held, count in zip(held_objects, counts, strict=True)
            if count <= 1
            and raw.is_exactly(held, dict, tuple)
            and not gc.is_tracked(held)
            and self._index(id(held)) is None
        ]

    def _of_plain_dict(self, index: int) -> list[tuple[int, bool]]:
        """Return what an untracked dict refers to: objects and tables.

        Its values may be in a block of their own that is not completely written, so that it has
        old pointers before or after them.
        """
        address = self._starts[index] + _HEAD + _VALUES_IN_DICT
        values = int.from_bytes(self._read(address, _WORD), sys.byteorder)
        table = self._index(values)
        if table is not None:
            found = {self._index(word) for word in self._values_at(values, table)} - {table}
            self._below[table, False] = [(other, False) for other in found if other is not None]
        return [(other, False) for other in self._pointers(index)]

    def _values_at(self, address: int, index: int) -> list[int]:
        """Return possible pointers in the values of a dict, which are at this address."""
        if _VALUES_FOLLOW_HEAD:
            return self._words(address + _WORD, _WORD * sum(self._read(address, 1)))
        return self._words(address, self._ends[index] - address)

    def _plain_objects(self, held: Any) -> list[int]:
        """Return the indices of untracked objects in an object's own memory.

        Types written in C need not report those to the garbage collector: `io.BytesIO` does not
        report its bytes, for example.
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
        """Return the words of memory that may be pointers into surviving blocks."""
        text = self._read(address, size // _WORD * _WORD)
        words = array("Q")
        words.frombytes(text[: len(text) // _WORD * _WORD])
        low, high = self._low, self._high
        return [word for word in words if low <= word < high]

    def _index(self, address: int) -> int | None:
        """Return the index of the block that contains an address."""
        at = bisect_right(self._starts, address) - 1
        return at if at >= 0 and address < self._ends[at] else None


def _has_tables(held: object) -> bool:
    """Return whether an object has memory of its own beside its block, all of it written."""
    kind = type(held)
    sized = raw.measure(kind) is not None or issubclass(kind, type)
    return sized or raw.has_words_in_front(kind)


def _has_words_in_front(held: object) -> bool:
    return raw.has_words_in_front(type(held))


def reference_counts(held_objects: Sequence[Any]) -> list[int]:
    """Return how many references some objects have, without those from here.

    Args:
        held_objects: the objects; that they are in this sequence does not count.
    """
    return [sys.getrefcount(held) - _FROM_HERE for held in held_objects]


_FROM_HERE = 0  # until it is known
_HOLDER: Final[list[Any]] = [{}]
_FROM_HERE = reference_counts(raw.referents(_HOLDER))[0] - 1


def referents(held: Any) -> list[Any]:
    """Return what an object refers to.

    The garbage collector leaves out keys of a dict that are text.
    """
    keys = [key for key, _ in raw.items(held)] if issubclass(type(held), dict) else []
    return [*raw.referents(held), *keys]


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
