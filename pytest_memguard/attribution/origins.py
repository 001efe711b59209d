"""Finds the lines that made the objects in a container, as the interpreter knows them.

The interpreter reuses the memory of tuples, lists and other objects: where it was allocated
does not show which code got it last. tracemalloc records that for each object.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache
from itertools import chain
from typing import Any, Final

from pytest_memguard.attribution import raw
from pytest_memguard.attribution.dict_tables import (
    moved_tables,
    object_traceback,
    table_traceback,
)
from pytest_memguard.attribution.leak_lines import is_our_file
from pytest_memguard.attribution.references import referents
from pytest_memguard.attribution.retention import stack_frames
from pytest_memguard.attribution.values import is_value
from pytest_memguard.values import dataclass

_FRAMES: Final = 24
_MOST: Final = 100_000

Stack = tuple[tuple[str, str, int], ...]
Stacks = Callable[[Any], Stack]
"""Converts what tracemalloc knows of an object to function, file and line of its frames."""

_OFTEN: Final = 0.5
"""Large blocks of a line count if there are so many per call."""
_SMALL: Final = 512
"""Bytes up to which a block is in one of Python's arenas."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where an object was made, for each of its blocks."""

    stack: Stack
    """Function, file and line of every Python frame, innermost first."""
    size: int
    """Its bytes."""
    native: tuple[str, ...] = ()
    """tracemalloc knows no C functions."""
    count: int = 1
    """It is a single block."""
    of_python: bool = True
    """It is from Python's allocators."""
    block: int = 0
    """Blocks of other objects are not alike."""
    tables: int = 0
    """It is a new block."""

    @property
    def small(self) -> int:
        """Its bytes, if the block is in an arena; otherwise 0."""
        return self.size if self.size <= _SMALL else 0


class Origins:
    """Records the objects that some calls make, while the heap is frozen.

    Args:
        stack: returns the frames that tracemalloc knows. It may not make objects in code of
            others, which would look like those of the calls.
    """

    def __init__(self, stack: Stacks) -> None:
        self._stack = cache(stack)  # each call makes the same objects in the same places
        gc.collect()  # empties what is kept for reuse
        tracemalloc.start(_FRAMES)

    def stop(self) -> None:
        """Stop recording."""
        tracemalloc.stop()

    def of(
        self, containers: Sequence[object], waiting: Iterable[int] = ()
    ) -> list[list[Origin]]:
        """Return for each container where its new contents were made.

        Args:
            containers: each gets contents that none before it has. The first that is no object
                of which the contents are known gets whatever no other has.
            waiting: ids of the frames of a thread that waits for this.
        """
        objects = gc.get_objects()
        new = {id(held) for held in objects}
        seen: set[int] = set()
        known = [None if is_value(one) else one for one in containers]
        found = [self._made([*raw.tables(one), one], new, seen) for one in known]
        if None in known:
            own = {id(new), id(seen), id(objects), id(found), id(self)}
            own |= seen.union(waiting, stack_frames())
            others = [one for one in objects if id(one) not in own]
            mine = self._made([others], new, seen)
            found[known.index(None)] = self._rest(mine, list(chain.from_iterable(found)))
        return found

    def _rest(self, mine: Sequence[Origin], others: Sequence[Origin]) -> list[Origin]:
        """Return all blocks that are left without those of some objects.

        Args:
            mine: blocks of the other objects; more is known to the interpreter than to the
                garbage collector.
            others: blocks of the objects to leave out. On a line that makes only such objects
                all blocks belong to them.
        """
        own = Counter((one.stack, one.size) for one in others)
        foreign = {one.stack for one in others} - {one.stack for one in mine}
        left = Counter(self._every_block()) - own
        return [
            Origin(stack=stack, size=size)
            for (stack, size), count in left.items()
            if stack not in foreign
            for _ in range(count)
        ]

    def _every_block(self) -> Counter[tuple[Stack, int]]:
        """Return the number of blocks by where their owners were made, and by size."""
        every: Counter[tuple[Stack, int]] = Counter()
        moves = moved_tables()
        for trace in tracemalloc.take_snapshot().traces:
            if trace.domain == 0 and not _is_of_tool(trace.traceback):
                every[self._stack(trace.traceback), trace.size] += 1
        for (size, allocated, belongs), count in moves.items():
            every[self._stack(allocated), size] -= count
            every[self._stack(belongs), size] += count
        return every

    def _made(self, waiting: list[Any], new: set[int], seen: set[int]) -> list[Origin]:
        found = []
        while waiting and len(seen) < _MOST:
            for held in self._fresh(referents(waiting.pop()), new, seen):
                seen.add(id(held))
                traceback = object_traceback(held)
                if traceback is not None and not _is_of_tool(traceback):
                    found += self._blocks_of(held, traceback)
                if id(held) in new:
                    waiting.append(held)
        return found

    def _blocks_of(self, held: Any, traceback: Any) -> list[Origin]:
        """Return the blocks of an object: a table may have grown on another line."""
        own, *table = raw.block_sizes(held) or (0,)
        found = [Origin(stack=self._stack(traceback), size=own)] if own else []
        if table:
            stack = self._stack(table_traceback(held) or traceback)
            found += [Origin(stack=stack, size=size) for size in table]
        return found

    @staticmethod
    def _fresh(held: Iterable[Any], new: set[int], seen: set[int]) -> list[Any]:
        """Return what was not seen before, once each, without classes that existed before."""
        fresh = {
            id(one): one
            for one in held
            if id(one) not in seen and (id(one) in new or not issubclass(type(one), type))
        }
        return list(fresh.values())


def _is_of_tool(traceback: Any) -> bool:
    """Return whether the object was made for this examination."""
    file = traceback[-1].filename
    return is_our_file(file) or file == tracemalloc.__file__


def without_replaced(before: Sequence[Origin], after: Sequence[Origin]) -> list[Origin]:
    """Return the blocks that are there beside as many as before of the same origin.

    What each call makes in the place of what the last one made is there once, whatever the
    number of calls.

    Args:
        before: blocks of some calls.
        after: blocks of those calls and of more.
    """
    return list((Counter(after) - Counter(before)).elements())


def without_moved(origins: Sequence[Origin], calls: int) -> list[Origin]:
    """Return the blocks without large ones that only some calls left on a line.

    Most are tables that got another place, and had most of their contents before.

    Args:
        origins: the blocks.
        calls: the number of calls.
    """
    large = Counter(one.stack for one in origins if not one.small)
    few = {stack for stack, count in large.items() if count < _OFTEN * calls}
    return [one for one in origins if one.small or one.stack not in few]


def with_functions(origins: Sequence[Origin], name: Callable[[Stack], Stack]) -> list[Origin]:
    """Return where objects were made, with the names of functions.

    Args:
        origins: without them.
        name: adds them to a stack.
    """
    known = {stack: name(stack) for stack in {one.stack for one in origins}}
    return [replace(one, stack=known[one.stack]) for one in origins]
