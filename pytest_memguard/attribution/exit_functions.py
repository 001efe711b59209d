"""Finds functions registered with atexit among new objects: nothing else refers to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from weakref import ReferenceType

from pytest_memguard.attribution import naming, raw
from pytest_memguard.attribution.values import exit_functions

if TYPE_CHECKING:
    from pytest_memguard.attribution.marking import BlockMarker
    from pytest_memguard.model.leaks import RetentionPath

_MOST_NAMES: Final = 2
_REGISTERED_SHARE: Final = 0.5
"""Each call registers a function as often as another, or this much less; others are strays."""
_ARGUMENTS: Final = (tuple, dict)
_WORD: Final = 8


def may_be_registered(top: int, marker: BlockMarker) -> bool:
    """Return whether the registry may refer to a block itself.

    It has memory from Python's allocators, callables, and their arguments. A list that C code
    has lost is none of it, nor what a C library has allocated.

    Args:
        top: the index of a block that no other new block refers to.
        marker: knows which blocks are objects.
    """
    held = marker.objects([top])
    if not held:
        # the registry's own memory, or an object that the collector does not track
        return not marker.is_of_c_library(top)
    return callable(held[0]) or raw.is_exactly(held[0], *_ARGUMENTS)


def table(blocks: Iterable[int], marker: BlockMarker, gained: int) -> dict[int, float]:
    """Return the registry's own table, with the part of it that was added, if it has moved.

    It is a block of C code with a pointer for each function, and no table of an object.

    Args:
        blocks: indices of blocks.
        marker: knows what is in the blocks.
        gained: by how many functions the registry has grown.
    """
    length = exit_functions()
    known = set(blocks)
    return {
        index: gained / length
        for index in known - marker.tables(marker.objects(known))
        if marker.size(index) >= _WORD * length
        and not marker.is_object(index)
        and len(marker.below(index)) >= gained
    }


def callbacks(blocks: Iterable[int], marker: BlockMarker) -> list[Any]:
    """Return the callables among some blocks that no other object in them refers to.

    Args:
        blocks: indices of the blocks.
        marker: knows which blocks are objects.
    """
    objects = {index: held for index in blocks for held in marker.objects([index])}
    below = {other for index in objects for other in marker.below(index)}
    return [
        held
        for index, held in objects.items()
        if index not in below
        and callable(held)
        and not issubclass(type(held), ReferenceType)  # which goes with what it refers to
    ]


def with_names(path: RetentionPath, called: Iterable[Any]) -> RetentionPath:
    """Return the path to the registry with the names of the functions in it.

    Args:
        path: to the registry.
        called: the functions; there may be none, if each call registers an old one.
    """
    counts = Counter(map(naming.callable_name, called))
    if not counts:
        return path
    least = _REGISTERED_SHARE * max(counts.values())
    names = sorted(name for name, count in counts.items() if count >= least)
    words = " and ".join(names[:_MOST_NAMES])
    *steps, last = path.steps
    return replace(
        path, holder=f"{path.holder}, {words}", steps=(*steps, f"{last}, of {words}")
    )
