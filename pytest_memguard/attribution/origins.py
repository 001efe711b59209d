"""Lines that made the objects which a container holds, as the interpreter itself knows them.

The interpreter reuses the memory of tuples, lists and others: where it was allocated says
nothing of who got it last. tracemalloc follows that, object by object.
"""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, Final

from pytest_memguard.attribution import raw
from pytest_memguard.attribution.dict_tables import traceback_at
from pytest_memguard.attribution.marking import referents
from pytest_memguard.values import dataclass

_FRAMES: Final = 24
_LONG_HEAD: Final = 32
"""Bytes in front of an instance whose attributes are told of there."""
_MOST: Final = 100_000

Name = Callable[[Any], tuple[tuple[str, str, int], ...]]
"""Turns what tracemalloc knows of an object into function, file and line of its frames."""

_IS_BLIND: Final = sys.version_info < (3, 12)
"""Whether tracemalloc does not find instances whose attributes are told of in front of them."""
_SMALL: Final = 512
"""Bytes up to which a block lies in one of Python's arenas."""


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
    """It is one."""
    of_python: bool = True
    """It is from Python's allocators."""
    block: int = 0
    """Those of other objects are not alike."""

    @property
    def small(self) -> int:
        """Its bytes, if the block lies in an arena."""
        return self.size if self.size <= _SMALL else 0


def _traceback_of(held: Any) -> Any:
    """Where an object was allocated; None if that is not known.

    tracemalloc of CPython 3.11 does not find instances whose attributes are told of in front
    of them, since it looks for a shorter head (python/cpython#101407 mended 3.12).
    """
    told = tracemalloc.get_object_traceback(held)
    if told is None and _IS_BLIND and raw.has_words_in_front(type(held)):
        told = traceback_at(id(held) - _LONG_HEAD)
    return told


class Origins:
    """Follows the objects that some calls make; to be used while the heap is frozen.

    Args:
        name: names the frames that tracemalloc knows.
    """

    def __init__(self, name: Name) -> None:
        self._name = cache(name)  # each call makes the same objects in the same places
        gc.collect()  # empties what is kept for reuse
        tracemalloc.start(_FRAMES)

    def stop(self) -> None:
        """Follow them no longer."""
        tracemalloc.stop()

    def of(self, containers: Sequence[object]) -> list[list[Origin]]:
        """For each container, where those of its contents were made that are new.

        Args:
            containers: each gets what none before it has.
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
                told = _traceback_of(held)
                if told is not None:
                    stack = self._name(told)
                    found += [Origin(stack=stack, size=n) for n in raw.block_sizes(held)]
                if id(held) in new:
                    waiting.append(held)
        return found

    @staticmethod
    def _fresh(held: Iterable[Any], new: set[int], seen: set[int]) -> list[Any]:
        """What has not been seen, once each, without the classes that were there before."""
        fresh = {
            id(one): one
            for one in held
            if id(one) not in seen and (id(one) in new or not issubclass(type(one), type))
        }
        return list(fresh.values())
