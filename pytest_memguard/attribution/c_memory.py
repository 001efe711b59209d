"""Finds the object whose C memory leads to blocks that no other object refers to.

The garbage collector knows nothing of tables that C code keeps, such as SQLite's table of
functions. Here pointers are followed from all objects of types written in C through the chunks
of glibc's heap, each word that leads into a chunk taken for a pointer, as in conservative
collectors (Boehm and Weiser, 1988). Of each type the object that is fewest chunks away may be
the holder; of those it is the one with the shortest chain of references.
"""

from __future__ import annotations

import gc
import sys
import time
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Any, Final

from pytest_memguard.attribution import naming, raw
from pytest_memguard.attribution.retention import Search, retention_path
from pytest_memguard.leaks import RetentionPath

Read = Callable[[int, int], bytes]
"""Reads memory: so many bytes from an address, or none."""
_WORD: Final = 8
_FLAGS: Final = 7
"""Bits of a chunk's size that tell other things."""
_BEFORE_IN_USE: Final = 1
"""The one of these bits that says of the chunk before that it is in use."""
_SMALLEST: Final = 32
_LARGEST_HEAP: Final = 1 << 28
"""Bytes of a heap that is read."""
_LARGEST_OBJECT: Final = 1 << 12
_DEALLOC: Final = 48
"""Where a type has the function that frees its objects."""
_BUFFER: Final = 160
"""Where it has what gives their bytes to others: numbers and texts, such as an array's."""
_NOT_ASKED: Final = ("builtins", "memray")
"""Modules whose objects are known by other ways, or which note every block there is."""
_FOUND: Final = 0.75
"""Share of the blocks that an object has to lead to: an old pointer leads to one of them."""
_AT_ONCE: Final = 5_000
_MOST_CHUNKS: Final = 300_000
"""Chunks to which objects lead, at most."""
_MOST_IN_A_ROW: Final = 3
"""Blocks that stay on one way, at most: an entry of a table, one before it, and its data."""
_MOST_ASKED: Final = 4
"""Objects of which is asked what holds them."""


class Chunks:
    """The chunks of glibc's main heap as they are now.

    Args:
        addresses: of the heap.
        read: reads memory.
    """

    def __init__(self, addresses: range, read: Read) -> None:
        whole = read(addresses.start, len(addresses) // _WORD * _WORD)
        self._words = memoryview(whole[: len(whole) // _WORD * _WORD]).cast("Q")
        self._base = addresses.start
        self._end = self._base + len(self._words) * _WORD
        self._starts = array("Q", self._walk())

    def _walk(self) -> Iterator[int]:
        """The words at which chunks begin, each behind its header."""
        words, at = self._words, 0
        while at + 1 < len(words):
            size = words[at + 1] & ~_FLAGS
            if size < _SMALLEST:  # what lies behind is not malloc's
                return
            yield at + 2
            at += size // _WORD

    def index(self, address: int) -> int | None:
        """The chunk that an address lies in."""
        if not self._base <= address < self._end or not self._starts:
            return None
        at = bisect_right(self._starts, (address - self._base) // _WORD) - 1
        return at if at >= 0 else None

    def below(self, index: int) -> set[int]:
        """The chunks that the words of one lead into."""
        if index + 1 == len(self._starts):  # what malloc has not given out yet
            return set()
        if not self._words[self._starts[index + 1] - 1] & _BEFORE_IN_USE:
            return set()  # it is free, whatever it was used for
        words = self._words[self._starts[index] : self._starts[index + 1] - 1].tolist()
        if len(words) > 1 and not words[1]:
            # memory that malloc's thread cache gave out again begins with a link to the next
            # free chunk and a word that was cleared
            del words[0]
        return self.all_of(words) - {index}

    def all_of(self, words: Iterable[int]) -> set[int]:
        """The chunks that some words lead into."""
        low, high = self._base, self._end
        found = {self.index(word) for word in words if low <= word < high}
        return {index for index in found if index is not None}


class Graph:
    """What leads to what: objects to chunks, and chunks to others.

    Args:
        chunks: of the heap.
        sources: the objects.
        firsts: the chunks that each of them leads into itself.
        deadline: by `time.thread_time`.
    """

    def __init__(
        self, chunks: Chunks, sources: list[Any], firsts: list[set[int]], deadline: float
    ) -> None:
        self._chunks = chunks
        self._sources = sources
        self._firsts = firsts
        self._deadline = deadline
        self._above: dict[int, list[int]] = {}
        self._below = self._reached(set().union(*firsts))
        for index, found in self._below.items():
            for other in found:
                self._above.setdefault(other, []).append(index)

    def nearest(self, blocks: Sequence[int]) -> list[Any]:
        """The objects that lead to most of some blocks: of each type the nearest, but a few.

        Args:
            blocks: where they begin.
        """
        indices = map(self._chunks.index, blocks)
        wanted = {index for index in indices if index is not None and index in self._below}
        leading = self._leading_to(wanted)
        ranked: dict[int, tuple[int, int]] = {}
        for number, first in enumerate(self._firsts):
            start = first & leading
            if start and time.thread_time() < self._deadline:
                steps = self._steps(start, wanted, leading)
                if len(steps) >= _FOUND * len(blocks):
                    kind = id(type(self._sources[number]))
                    ranked[kind] = min(
                        ranked.get(kind, (sum(steps), number)), (sum(steps), number)
                    )
        return [self._sources[number] for _, number in sorted(ranked.values())[:_MOST_ASKED]]

    def _leading_to(self, wanted: Iterable[int]) -> set[int]:
        """The chunks that lead to some of these, which are among them."""
        found = set(wanted)
        waiting = list(found)
        while waiting:
            more = set(self._above.get(waiting.pop(), ())) - found
            found |= more
            waiting += more
        return found

    def _steps(self, start: set[int], wanted: set[int], among: set[int]) -> list[int]:
        """How many chunks away those are that are wanted, from some others.

        A way may go through a few of them: the entries of one row of a hash table. Memory that
        was never written to has links of free chunks in it, which go through any number.

        Args:
            start: where the ways begin.
            wanted: where they end.
            among: the chunks they may go through.
        """
        found: list[int] = []
        seen = set(start)
        level, steps = start, 0
        for _ in range(_MOST_IN_A_ROW):
            ends: set[int] = set()
            while level:
                steps += 1
                ends |= level & wanted
                found += [steps] * len(level & wanted)
                level = self._after(level - wanted, among) - seen
                seen |= level
            level = self._after(ends, among) - seen
            seen |= level
        return found

    def _after(self, level: set[int], among: set[int]) -> set[int]:
        """What some chunks lead to."""
        return {other for index in level for other in self._below[index] & among}

    def _reached(self, start: set[int]) -> dict[int, set[int]]:
        """What each chunk leads to, of those to which the objects lead; none if too many."""
        found: dict[int, set[int]] = {}
        waiting = list(start)
        while waiting:
            index = waiting.pop()
            if index in found:
                continue
            if len(found) > _MOST_CHUNKS or time.thread_time() > self._deadline:
                return {}
            found[index] = self._chunks.below(index)
            waiting += found[index].difference(found)
        return found


class CMemory:
    """Looks for who holds blocks in C memory, with one look at the heap for all of them.

    Args:
        addresses: of glibc's heap.
        read: reads memory.
        search: finds out what holds an object.
        is_new: whether an object is a part of what stays.
    """

    def __init__(
        self,
        addresses: range,
        read: Read,
        search: Search,
        is_new: Callable[[object], bool],
    ) -> None:
        self._addresses = addresses
        self._read = read
        self._search = search
        self._is_new = is_new
        self._graph: Graph | None = None

    def holder(self, blocks: Sequence[int]) -> RetentionPath | None:
        """What leads to most of some blocks, if one object does.

        Args:
            blocks: where they begin; those outside of the heap are left out.
        """
        blocks = [block for block in blocks if block in self._addresses]
        if not blocks or len(self._addresses) > _LARGEST_HEAP:
            return None
        if self._graph is None:
            chunks = Chunks(self._addresses, self._read)
            sources = self._sources()
            self._search.leave_out({id(sources)})
            firsts = [chunks.all_of(self._body(source)) for source in sources]
            self._graph = Graph(chunks, sources, firsts, self._search.deadline)
        return self._path_to(self._graph.nearest(blocks))

    def _path_to(self, sources: Sequence[Any]) -> RetentionPath | None:
        """The shortest: a connection may hold statements that lead to its tables as well.

        None if a cache or the test runner holds it, whose growth would not count.
        """
        self._search.leave_out({id(sources)})
        found = [
            (len(chain.objects), number, chain)
            for number, source in enumerate(sources)
            for chain in self._search.chains([source])[:1]
        ]
        if not found:
            return None
        _, number, chain = min(found, key=itemgetter(0, 1))
        source = sources[number]
        path = retention_path(chain, roots=self._search.roots, new=set(), grower=source)
        if path.owner or path.bounded:  # what may be chance excuses nothing
            return None
        step = f"C memory of {naming.described(source)}"
        return replace(path, steps=(*path.steps, step), holder=f"{path.holder}, C memory")

    def _body(self, source: Any) -> Iterable[int]:
        """The words of an object itself, without the objects that it refers to."""
        size = min(raw.basic_size(type(source)), _LARGEST_OBJECT)
        words = array("Q")
        text = self._read(id(source), size // _WORD * _WORD)
        words.frombytes(text[: len(text) // _WORD * _WORD])
        return set(words).difference(map(id, raw.referents(source)))

    def _sources(self) -> list[Any]:
        """The objects of types written in C outside of the interpreter's core."""
        freed = self._freed_by(_Plain)
        kinds: dict[int, bool] = {}
        found: dict[int, Any] = {}
        everything = gc.get_objects()
        for start in range(0, len(everything), _AT_ONCE):
            objects = everything[start : start + _AT_ONCE]
            for one in (*objects, *raw.referents(*objects)):
                kind = type(one)
                known = kinds.get(id(kind))
                if known is None:
                    known = kinds[id(kind)] = self._is_of_c(kind, freed)
                if known and not self._is_new(one):
                    found[id(one)] = one
            if time.thread_time() > self._search.deadline:
                break
        return list(found.values())

    def _is_of_c(self, kind: type, freed: bytes) -> bool:
        """Whether objects of a type have memory that its own C code manages."""
        bases = [cls for cls in raw.mro(kind) if cls is not object]
        packages = {raw.class_name(cls)[0].partition(".")[0] for cls in bases}
        if packages.intersection(_NOT_ASKED) or self._has_bytes(kind):
            return False
        return any(self._freed_by(cls) != freed for cls in bases)

    def _freed_by(self, cls: type) -> bytes:
        return self._read(id(cls) + _DEALLOC, _WORD)

    def _has_bytes(self, cls: type) -> bool:
        table = int.from_bytes(self._read(id(cls) + _BUFFER, _WORD), sys.byteorder)
        return bool(table) and any(self._read(table, _WORD))


class _Plain:
    """A class whose objects are freed by the interpreter's own function."""
