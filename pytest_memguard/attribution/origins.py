"""Finds the lines that made the objects in a container, as the interpreter knows them.

The interpreter reuses the memory of tuples, lists and other objects: where it was allocated
does not show which code got it last. tracemalloc records that for each object.
"""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, Final

from pytest_memguard.attribution import raw
from pytest_memguard.attribution.dict_tables import table_traceback, traceback_at
from pytest_memguard.attribution.marking import referents
from pytest_memguard.values import dataclass

_FRAMES: Final = 24
_LONG_HEAD: Final = 32
"""Bytes in front of an instance whose attributes are referred to there."""
_MOST: Final = 100_000

Name = Callable[[Any], tuple[tuple[str, str, int], ...]]
"""Converts what tracemalloc knows of an object to function, file and line of its frames."""

_IS_BLIND: Final = sys.version_info < (3, 12)
"""Whether tracemalloc does not find instances whose attributes are referred to in front."""
_SMALL: Final = 512
"""Bytes up to which a block is in one of Python's arenas."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where an object was made, for each of its blocks."""

    stack: tuple[tuple[str, str, int], ...]
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

    @property
    def small(self) -> int:
        """Its bytes, if the block is in an arena; otherwise 0."""
        return self.size if self.size <= _SMALL else 0


def _traceback_of(held: Any) -> Any:
    """Return where an object was allocated; ``None`` if unknown.

    tracemalloc of CPython 3.11 does not find instances whose attributes are referred to in
    front of them, because it expects a shorter header (fixed in 3.12 by python/cpython#101407).
    """
    traceback = tracemalloc.get_object_traceback(held)
    if traceback is None and _IS_BLIND and raw.has_words_in_front(type(held)):
        traceback = traceback_at(id(held) - _LONG_HEAD)
    return traceback


class Origins:
    """Records the objects that some calls make, while the heap is frozen.

    Args:
        name: names the frames that tracemalloc knows.
    """

    def __init__(self, name: Name) -> None:
        self._name = cache(name)  # each call makes the same objects in the same places
        gc.collect()  # empties what is kept for reuse
        tracemalloc.start(_FRAMES)

    def stop(self) -> None:
        """Stop recording."""
        tracemalloc.stop()

    def of(self, containers: Sequence[object]) -> list[list[Origin]]:
        """Return for each container where its new contents were made.

        Args:
            containers: each gets contents that none before it has.
        """
        new = {id(held) for held in gc.get_objects()}
        seen: set[int] = set()
        return [self._made(container, new, seen) for container in containers]

    def _made(self, container: Any, new: set[int], seen: set[int]) -> list[Origin]:
        found = []
        waiting = [*raw.tables(container), container]
        while waiting and len(seen) < _MOST:
            for held in self._fresh(referents(waiting.pop()), new, seen):
                seen.add(id(held))
                traceback = _traceback_of(held)
                if traceback is not None:
                    found += self._blocks_of(held, traceback)
                if id(held) in new:
                    waiting.append(held)
        return found

    def _blocks_of(self, held: Any, traceback: Any) -> list[Origin]:
        """Return the blocks of an object: a table may have grown on another line."""
        own, *table = raw.block_sizes(held) or (0,)
        found = [Origin(stack=self._name(traceback), size=own)] if own else []
        if table:
            stack = self._name(table_traceback(held) or traceback)
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
