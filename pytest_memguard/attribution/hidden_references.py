"""Finds what would stay if a holder let go of it: C code may refer to it as well.

The garbage collector reports what the objects refer to that it follows. If an object has more
references than those, something else keeps it: C code, or an object of a type that the
collector does not follow, in a cycle that it cannot free.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Collection, Sequence
from types import FrameType
from typing import Any, Final

from pytest_memguard.attribution import raw
from pytest_memguard.attribution.marking import BlockMarker
from pytest_memguard.attribution.new_objects import NewObjects
from pytest_memguard.attribution.pieces import Piece
from pytest_memguard.attribution.references import reference_counts
from pytest_memguard.attribution.threads import has_threads, on_any_stack
from pytest_memguard.values import dataclass

_MOST_BLOCKS: Final = 20_000
"""Holders of more blocks are not examined."""
MOST_COUNTED: Final = 1 << 28
"""References of an object that is never freed: the interpreter does not count them."""
_CHUNK: Final = 2_000
_LEAST_CALLS: Final = 0.25
"""Share of the calls that have to keep something: those in the middle are 0.375 of them."""
_LEAST_SHARE: Final = 0.1
"""Less of the blocks is no second cause."""
_KINDS: Final = 2
"""How many types are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptByC:
    """What would stay of a holder's blocks."""

    share: float
    """Its share of the blocks."""
    kinds: tuple[str, ...]
    """The types of the objects that have more references than are known."""


def kept_by_c(
    held: set[int],
    containers: Sequence[Any],
    marker: BlockMarker,
    pieces: Sequence[Piece],
    new_objects: NewObjects,
    calls: int,
) -> KeptByC | None:
    """Return what would stay of some blocks if their holder let go; ``None`` if nothing would.

    Only blocks of the calls in the middle are examined. Something may still be at work on those
    of the last one.

    Args:
        held: indices of the blocks.
        containers: what holds them, and has grown.
        marker: finds the blocks of objects.
        pieces: all blocks.
        new_objects: what the calls left behind.
        calls: the number of calls.
    """
    last = max((pieces[index].part for index in held), default=0)
    sample = {index for index in held if 0 < pieces[index].part < last}
    # the interpreter itself refers to frames
    objects = [
        one
        for one in marker.objects(sorted(sample))
        if type(one) is not FrameType and not marker.goes_with_another(one)
    ]
    if not objects or len(held) > _MOST_BLOCKS or has_threads(map(type, objects)):
        return None
    counts = _unreported(objects, containers, marker, new_objects)
    # the tables of the containers, if they have moved, are no further references
    tables = set().union(*(marker.buffers(part) for one in containers for part in _parts(one)))
    kept = _kept(counts, objects, held - tables, marker) if counts else []
    tops = marker.indices_of(map(id, kept))
    stays = set().union(*map(marker.reached, sorted(tops))) & sample
    if len(tops) < _LEAST_CALLS * calls or len(stays) < _LEAST_SHARE * len(sample):
        return None
    kinds = Counter(raw.type_name(type(one)) for one in kept).most_common(_KINDS)
    return KeptByC(
        share=len(stays) / len(sample), kinds=tuple(sorted(kind for kind, _ in kinds))
    )


def _unreported(
    objects: list[Any],
    containers: Sequence[Any],
    marker: BlockMarker,
    new_objects: NewObjects,
) -> dict[int, int]:
    """Return how many references the objects have that the collector does not report, by id.

    Most of them have no more than what is new refers to, and what grows. Only for the others
    the whole heap is asked.
    """
    numbers = reference_counts(objects)
    counts = {id(one): number for one, number in zip(objects, numbers, strict=True)}
    missing = {one: count for one, count in counts.items() if count < MOST_COUNTED}
    several = [*new_objects.objects, *(part for one in containers for part in _parts(one))]
    several += [new_objects.objects, marker.tracked]
    subtract_references(missing, several)
    wanted = {one: counts[one] for one, left in missing.items() if left > 0}
    if wanted:
        del several
        everything = gc.get_objects()
        subtract_references(wanted, everything, {id(objects), id(everything)})
        for held in on_any_stack():  # and a method that is called refers to its object
            wanted.pop(id(held), None)
    return {one: left for one, left in wanted.items() if left > 0}


def _parts(container: Any) -> list[Any]:
    return list({id(part): part for part in (container, *raw.tables(container))}.values())


def subtract_references(
    counts: dict[int, int], holders: Sequence[Any], leave_out: Collection[int] = ()
) -> None:
    """Subtract how often each object is referred to, as the collector reports it.

    Args:
        counts: the numbers by the ids of the objects; they are changed.
        holders: what may refer to them.
        leave_out: ids of those that do not count.
    """
    for start in range(0, len(holders), _CHUNK):
        chunk = [one for one in holders[start : start + _CHUNK] if id(one) not in leave_out]
        for address in filter(counts.__contains__, map(id, raw.referents(*chunk))):
            counts[address] -= 1


def _kept(
    counts: dict[int, int], objects: Sequence[Any], held: set[int], marker: BlockMarker
) -> list[Any]:
    """Return the objects to which no block refers so often, or one that they lead to.

    Args:
        counts: references that the collector does not report, by the ids of the objects.
        objects: the objects.
        held: indices of the blocks of their holder.
        marker: finds what refers to what.
    """
    left = dict(counts)
    in_cycles: set[int] = set()
    for index, address, count in marker.unreported(held, counts.keys()):
        left[address] -= count
        (own,) = marker.indices_of([address])
        if marker.is_of_unfollowed_type(index) and index in marker.reached(own):
            in_cycles.add(address)
    return [one for one in objects if left.get(id(one), 0) > 0 or id(one) in in_cycles]
