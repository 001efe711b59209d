"""Finds the object whose C memory leads to blocks that no other object refers to.

The garbage collector does not see tables of C code, such as SQLite's table of functions. Here
pointers are followed from all objects of types written in C through the chunks of glibc's heap;
each word that is an address in a chunk is taken for a pointer, as in conservative garbage
collectors (H.-J. Boehm and M. Weiser, "Garbage Collection in an Uncooperative Environment",
1988). For each type, the object that is fewest chunks away may be the holder; among those it is
the one with the shortest chain of references.
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
from pytest_memguard.model.leaks import RetentionPath

Read = Callable[[int, int], bytes]
"""Reads a number of bytes at an address; returns no bytes if it is not mapped."""
_WORD: Final = 8
_FLAGS: Final = 7
"""Bits of a chunk's size that are flags."""
_BEFORE_IN_USE: Final = 1
"""The flag that the chunk before is in use."""
_SMALLEST: Final = 32
_LARGEST_HEAP: Final = 1 << 28
"""Bytes of the largest heap that is read."""
_LARGEST_OBJECT: Final = 1 << 12
_DEALLOC: Final = 48
"""Offset in a type of the function that frees its objects."""
_BUFFER: Final = 160
"""Offset of the functions that give other code access to its bytes, which are numbers or
texts."""
_NOT_ASKED: Final = ("builtins", "memray")
"""Modules whose objects are known otherwise, or which have notes of every block."""
_FOUND: Final = 0.75
"""Least share of the blocks that an object must lead to: an old pointer leads to one of
them."""
_AT_ONCE: Final = 5_000
_MOST_CHUNKS: Final = 300_000
"""The most chunks that objects may lead to."""
_MOST_IN_A_ROW: Final = 3
"""The most surviving blocks on one path: an entry of a table, one before it, and its data."""
_MOST_ASKED: Final = 4
"""The most objects whose holders are searched for."""


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
        """Yield the index of the word at which each chunk begins, after its header."""
        words, at = self._words, 0
        while at + 1 < len(words):
            size = words[at + 1] & ~_FLAGS
            if size < _SMALLEST:  # what lies behind is not malloc's
                return
            yield at + 2
            at += size // _WORD

    def index(self, address: int) -> int | None:
        """Return the chunk that contains an address."""
        if not self._base <= address < self._end or not self._starts:
            return None
        at = bisect_right(self._starts, (address - self._base) // _WORD) - 1
        return at if at >= 0 else None

    def below(self, index: int) -> set[int]:
        """Return the chunks that the words of one chunk lead into."""
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
        """Return the chunks that some words lead into."""
        low, high = self._base, self._end
        found = {self.index(word) for word in words if low <= word < high}
        return {index for index in found if index is not None}


class Graph:
    """Which chunks objects lead to, and which chunks those lead to.

    Args:
        chunks: the chunks of the heap.
        sources: the objects.
        firsts: the chunks that each object leads into directly.
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
        """Return a few objects that lead to most of some blocks, the nearest of each type.

        Args:
            blocks: the addresses of the blocks.
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
        """Return the chunks that lead to some chunks, which are among them."""
        found = set(wanted)
        waiting = list(found)
        while waiting:
            more = set(self._above.get(waiting.pop(), ())) - found
            found |= more
            waiting += more
        return found

    def _steps(self, start: set[int], wanted: set[int], among: set[int]) -> list[int]:
        """Return how many chunks away wanted chunks are from others.

        A path may go through a few wanted chunks: the entries of one row of a hash table.
        Memory that was never written to contains links of free chunks, which may go through any
        number.

        Args:
            start: where the paths begin.
            wanted: where they end.
            among: the chunks that they may go through.
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
        """Return what some chunks lead to."""
        return {other for index in level for other in self._below[index] & among}

    def _reached(self, start: set[int]) -> dict[int, set[int]]:
        """Return the links between chunks that objects lead to; none if too many."""
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
    """Searches for the holders of blocks in C memory, after reading the heap once.

    Args:
        addresses: of glibc's heap.
        read: reads memory.
        search: searches for what holds an object.
        is_new: returns whether an object is part of what stays.
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
        """Return the path to the object that leads to most of some blocks, if there is one.

        Args:
            blocks: the addresses of the blocks; those outside of the heap are ignored.
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
        """Return the shortest path: statements of a connection lead to its tables, too.

        ``None`` if a cache or the test runner holds the object, whose growth would not count.
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
        path = retention_path(
            chain, roots=self._search.roots, new=set(), growing_container=source
        )
        if path.owner or path.bounded:  # what may be chance excuses nothing
            return None
        step = f"C memory of {naming.described(source)}"
        return replace(path, steps=(*path.steps, step), holder=f"{path.holder}, C memory")

    def _body(self, source: Any) -> Iterable[int]:
        """Return the words of an object itself, without the objects that it refers to."""
        size = min(raw.basic_size(type(source)), _LARGEST_OBJECT)
        words = array("Q")
        text = self._read(id(source), size // _WORD * _WORD)
        words.frombytes(text[: len(text) // _WORD * _WORD])
        return set(words).difference(map(id, raw.referents(source)))

    def _sources(self) -> list[Any]:
        """Return the objects of types written in C outside of the interpreter's core."""
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
        """Return whether objects of a type have memory that its own C code manages."""
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
