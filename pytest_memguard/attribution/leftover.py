"""Blocks that no container holds: grouped by what refers to what, and by who allocated them."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from pytest_memguard.attribution import raw
from pytest_memguard.attribution.containers import gained_by
from pytest_memguard.attribution.leak_lines import c_functions, line_of
from pytest_memguard.attribution.marking import Marker, referents
from pytest_memguard.attribution.newcomers import Survivors
from pytest_memguard.attribution.retention import Chain, Search, retention_path

if TYPE_CHECKING:
    from pytest_memguard.attribution.marking import Piece
    from pytest_memguard.leaks import RetentionPath, TypeGrowth

_CHUNK: Final = 2_000
_KINDS_FROM: Final = 3


class Heap:
    """Blocks that belong together."""

    def __init__(self) -> None:
        self.held: set[int] = set()
        self.tops = 0
        """Blocks among them that no other refers to."""
        self.path: RetentionPath | None = None
        self.types: tuple[TypeGrowth, ...] = ()
        self.replaces = False
        """Whether it is there in the place of other blocks."""


def leftover(
    unclaimed: set[int],
    survivors: Survivors,
    marker: Marker,
    pieces: Sequence[Piece],
    search: Search,
    least: int,
) -> list[Heap]:
    """Groups of blocks of which there are so many from one line.

    Args:
        unclaimed: indices of the blocks.
        survivors: what is new.
        marker: knows what refers to what.
        pieces: all blocks.
        search: looks for holders.
        least: blocks of one line that it takes.
    """
    by_place: dict[tuple[str, ...], Heap] = {}
    left = set(unclaimed)
    for top in _tops(unclaimed, marker, pieces):
        if top not in left or pieces[top].of_instruments:
            continue
        held = marker.reached(top) & left
        left -= held
        heap = by_place.setdefault(_place_of(top, held, marker, pieces, by_place), Heap())
        heap.held |= held
        heap.tops += 1
    found: dict[str, Heap] = {}
    for place, heap in by_place.items():
        lines = Counter(pieces[index].stack[:1] for index in heap.held if pieces[index].stack)
        if max(heap.tops, *lines.values(), 0) < least or not lines:
            continue
        _find_holder(heap, survivors, marker, search, least)
        if heap.replaces:
            continue
        name = heap.path.holder if heap.path is not None else repr(place)
        known = found.setdefault(name, heap)
        known.held |= heap.held
    return list(found.values())


def replaced(
    unclaimed: set[int],
    marker: Marker,
    everything: Sequence[Any],
    leave_out: set[int],
    least: int,
) -> set[int]:
    """Blocks that are in containers which have not grown: there were others in their place.

    A cache that is full is one, or a structure that is renewed.

    Args:
        unclaimed: indices of the blocks that no container has that grew.
        marker: knows what refers to what.
        everything: the objects that the collector follows.
        leave_out: ids of containers that are not asked about.
        least: new items that such a container has.
    """
    wanted = marker.object_ids(unclaimed)
    found: set[int] = set()
    for start in range(0, len(everything), _CHUNK):
        chunk = everything[start : start + _CHUNK]
        if wanted.isdisjoint(map(id, gc.get_referents(*chunk))):
            continue
        for holder in chunk:
            if id(holder) in leave_out or marker.is_new(holder) or not raw.length(holder):
                continue
            hits = sum(map(wanted.__contains__, map(id, referents(holder))))
            if hits >= least:
                found |= marker.held_by(holder)
    return found & unclaimed


def _place_of(
    top: int,
    held: set[int],
    marker: Marker,
    pieces: Sequence[Piece],
    known: Mapping[tuple[str, ...], Heap],
) -> tuple[str, ...]:
    """What one leak has in common: the line, and what is allocated there.

    An object whose memory was used before has no line of its own; then it is that of a leak of
    the same type that has blocks from the same line.
    """
    kinds = tuple(raw.type_name(type(held)) for held in marker.objects([top]))
    own = pieces[top].stack
    if own:
        file, line, function = line_of(own)
        return (file, str(line), function, *(kinds or c_functions(pieces[top].native)))
    lines = {pieces[index].stack[:1] for index in held if pieces[index].stack}
    for place, heap in known.items():
        others = {pieces[index].stack[:1] for index in heap.held if pieces[index].stack}
        if place[_KINDS_FROM:] == kinds and (lines & others or not lines):
            return place
    return ("", "", "", *kinds)


def _tops(unclaimed: set[int], marker: Marker, pieces: Sequence[Piece]) -> list[int]:
    """The blocks, those first that none of the others refers to, and objects before others.

    Native memory may have pointers in it that mean nothing any more.
    """
    below = {other for index in unclaimed for other in marker.below(index)}

    def key(index: int) -> tuple[bool, bool, bool, int]:
        is_native = not marker.is_object(index)
        return (index in below, is_native, not pieces[index].stack, index)

    return sorted(unclaimed, key=key)


def _find_holder(
    heap: Heap, survivors: Survivors, marker: Marker, search: Search, least: int
) -> None:
    """Find out what holds the objects among the blocks, if there are any."""
    own = Survivors(marker.objects(heap.held), set())
    search.leave_out(own.own)
    heap.types = own.count(least)
    chains = search.chains(own.targets()) if heap.types else []
    if chains:
        heap.replaces = _gets_others(chains[0], survivors, least)
        heap.path = retention_path(
            chains[0], roots=search.roots, new=survivors.ids, grower=None
        )


def _gets_others(chain: Chain, survivors: Survivors, least: int) -> bool:
    """Whether a container on the way has as many new items without having grown.

    It got them in the place of others: a cache that is full, a generation that is renewed.
    """
    return any(
        gained_by(held, survivors.ids) >= least
        for held in chain.objects
        if id(held) not in survivors.ids
    )
