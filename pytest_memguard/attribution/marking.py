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
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, Final
from weakref import ReferenceType

from pytest_memguard.attribution import raw
from pytest_memguard.attribution.pieces import HEAD, WORD, Piece
from pytest_memguard.attribution.references import reference_counts, referents
from pytest_memguard.attribution.surviving_memory import SurvivingMemory
from pytest_memguard.attribution.thread_locals import is_thread_local, stand_ins
from pytest_memguard.attribution.weak_of_c_code import weak_of_c_code

_VALUES_IN_DICT: Final = 5 * WORD
"""Offset of a dict's pointer to its values, if another object has its keys."""
_VALUES_FOLLOW_HEAD: Final = sys.version_info >= (3, 13)
"""Whether a word with their number precedes a dict's values, and the address points after
it."""


class BlockMarker(SurvivingMemory):
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
        new: Sequence[Any],
        read: Callable[[int, int], bytes],
    ) -> None:
        super().__init__(pieces, new, read)
        self._below: dict[tuple[int, bool], list[tuple[int, bool]]] = {}
        self._weak = weak_of_c_code(new, self.own)

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

    def goes_with_another(self, held: Any) -> bool:
        """Return whether C code alone refers to an object, until what that refers to goes."""
        if not issubclass(type(held), ReferenceType):
            return False
        weak = self._weak.get(id(ReferenceType.__call__(held)), ())
        return any(one is held for one in weak)

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
        words = self._words(id(held) - 2 * HEAD, HEAD)
        found = {self._index(word) for word in words if not self._is_a(dict, word)}
        values = {index for index in found if index is not None and index not in self._tracked}
        # the object refers to all of them; the words before them are not always written
        self._below.update({(index, True): [] for index in values})
        return values

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
            found += [(index, False) for index in self._unreported_objects(part)]
        if issubclass(type(held), type):  # a class does not report its names
            found += self._in_own_memory(held)
        if is_thread_local(held):  # nor a local the functions that clear up after it
            found += self._in_own_memory(held)
            found += [(index, False) for index in self.indices_of(map(id, stand_ins(held)))]
        weak = self._weak.get(id(held), ())
        return found + [(index, False) for index in self.indices_of(map(id, weak))]

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
        address = self._starts[index] + HEAD + _VALUES_IN_DICT
        values = int.from_bytes(self._read(address, WORD), sys.byteorder)
        table = self._index(values)
        if table is not None:
            found = {self._index(word) for word in self._values_at(values, table)} - {table}
            self._below[table, False] = [(other, False) for other in found if other is not None]
        return [(other, False) for other in self._pointers(index)]

    def _values_at(self, address: int, index: int) -> list[int]:
        """Return possible pointers in the values of a dict, which are at this address."""
        if _VALUES_FOLLOW_HEAD:
            return self._words(address + WORD, WORD * sum(self._read(address, 1)))
        return self._words(address, self._ends[index] - address)

    def _unreported_objects(self, held: Any) -> list[int]:
        """Return the indices of objects in an object's own memory that it does not report.

        Types written in C need not report those to the garbage collector: `io.BytesIO` does not
        report its bytes, for example, nor `io.StringIO` the list of what was written to it.
        What other objects report may be theirs alone.
        """
        words = self._words(id(held), raw.basic_size(type(held)))
        found = {word: self._index(word) for word in words}
        return [
            index
            for word, index in found.items()
            if index is not None
            and (
                self._is_unreported(index, word)
                if index in self._tracked
                else self._starts[index] == word and self.is_object(index)
            )
        ]

    def _is_unreported(self, index: int, address: int) -> bool:
        """Return whether a tracked object is at an address, and no new object reports it."""
        held = self._tracked[index]
        is_weak = issubclass(type(held), ReferenceType)  # in a list of what they refer to
        return id(held) == address and not is_weak and address not in self._reported

    @cached_property
    def _reported(self) -> frozenset[int]:
        """The ids of all objects that new ones refer to, as the collector reports it."""
        return frozenset(map(id, raw.referents(*self._tracked.values())))

    def _roots(self, holder: Any) -> list[tuple[int, bool]]:
        own = self._index(id(holder))
        found = self._of_tracked(holder)
        return found if own is None else [*found, (own, False)]


def _has_tables(held: object) -> bool:
    """Return whether an object has memory of its own beside its block, all of it written."""
    kind = type(held)
    sized = raw.measure(kind) is not None or issubclass(kind, type)
    return sized or raw.has_words_in_front(kind)


def _has_words_in_front(held: object) -> bool:
    return raw.has_words_in_front(type(held))
