"""Blocks that no container holds: grouped by what refers to what, and by who allocated them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, cast

from pytest_memguard.attribution import raw
from pytest_memguard.attribution.containers import gained_by
from pytest_memguard.attribution.entries import chains_from_above
from pytest_memguard.attribution.leak_lines import (
    c_functions,
    is_ours,
    is_pytest,
    line_of_shared,
)
from pytest_memguard.attribution.marking import Marker, referents
from pytest_memguard.attribution.newcomers import Survivors
from pytest_memguard.attribution.retention import Chain, Search, retention_path
from pytest_memguard.attribution.sizes import untracked_dicts

if TYPE_CHECKING:
    from pytest_memguard.attribution.marking import Piece
    from pytest_memguard.leaks import RetentionPath, TypeGrowth

_CHUNK: Final = 2_000
_KINDS_FROM: Final = 3
_MORE: Final = 3
"""How many times as many objects others have to be that a few are joined to."""
_STRAY: Final = 0.25
"""Share of the blocks from the main line from which on those from another line belong there."""
_SELDOM: Final = 0.5
"""Share of the parts of a group below which what they have is no part of them."""
_FOUND: Final = 0.75
"""Share of the objects of a leak that are found, at least: others may seem to be held by
memory in which old pointers lie."""

_HELD: Final = 0.5
"""Share of the blocks of a leak that a holder has, at least, for which they are no leak."""
_SEVERAL: Final = 4
"""Objects from which on it can be that many are renewed, each by itself."""
_HAVE_OBJECTS: Final = 0.5
"""Share of the blocks which no other refers to that lead to objects, if objects are a part."""


class Heap:
    """Blocks that belong together."""

    def __init__(self) -> None:
        self.held: set[int] = set()
        self.parts: list[set[int]] = []
        """Each block among them that no other refers to, with those that it leads to."""
        self.with_objects = 0
        """Parts with objects that the collector follows."""
        self.path: RetentionPath | None = None
        self.types: tuple[TypeGrowth, ...] = ()
        self.replaces = False
        """Whether it is there in the place of other blocks."""
        self.is_of_objects = False
        """Whether blocks that no other refers to are objects of which the type is known."""
        self.is_native = False
        """Whether they are memory that C code has taken for itself."""

    def add(self, other: Heap) -> None:
        """Take the blocks of another one."""
        self.held |= other.held
        self.parts += other.parts
        self.with_objects += other.with_objects

    @property
    def tops(self) -> int:
        """How many blocks among them no other refers to."""
        return len(self.parts)

    @property
    def has_objects(self) -> bool:
        """Whether objects are a part of it, and not a few that only seem to be.

        Memory that C code has taken and not written to may have old pointers in it.
        """
        return self.with_objects > 0 and self.with_objects >= _HAVE_OBJECTS * self.tops


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
        if top not in left or _is_ours(top, marker, pieces):
            continue
        held = marker.reached(top) & left
        left -= held
        heap = by_place.setdefault(_place_of(top, held, marker, pieces, by_place), Heap())
        heap.held |= held
        heap.parts.append(held)
        heap.with_objects += bool(marker.objects(held))
        heap.is_of_objects = bool(marker.objects([top])) or marker.is_plain_dict(top)
        heap.is_native = pieces[top].in_c_heap and not marker.is_object(top)
    _return_strays(by_place, marker, pieces)
    _join_reused(by_place, pieces)
    found: dict[str, Heap] = {}
    for place, heap in by_place.items():
        lines = Counter(pieces[index].stack[:1] for index in heap.held if pieces[index].stack)
        if max(heap.tops, *lines.values(), 0) < least or not lines:
            continue
        heap.held -= _strays(heap, lines, marker, pieces)
        _find_holder(heap, survivors, marker, search, least)
        if heap.replaces:
            continue
        name = heap.path.holder if heap.path is not None else repr(place)
        known = found.setdefault(name, heap)
        known.held |= heap.held
    return list(found.values())


def _is_ours(index: int, marker: Marker, pieces: Sequence[Piece]) -> bool:
    """Whether a block is our own code's, and is not used for another object by now."""
    piece = pieces[index]
    return piece.of_instruments or (is_ours(piece.stack) and not marker.may_be_reused(index))


def _return_strays(
    by_place: dict[tuple[str, ...], Heap], marker: Marker, pieces: Sequence[Piece]
) -> None:
    """Take out what few parts of a group have: return it to the group of its line, if any.

    Only old pointers lead to it, in memory that C code has taken and not written to. A text is
    missed most: it is the only block of its call. What has no group stays where an object
    refers to it.

    Args:
        by_place: the groups, which are changed.
        marker: knows what refers to what.
        pieces: all blocks.
    """
    for heap in by_place.values():
        counts = Counter(line for part in heap.parts for line in _lines_or_none(part, pieces))
        few = _SELDOM * heap.tops
        strays = sorted(i for i in heap.held if counts[pieces[i].stack[:1]] < few)
        for index in strays:
            home = by_place.get(_place_of(index, {index}, marker, pieces, {}), heap)
            more = home.tops > counts[pieces[index].stack[:1]]
            if home is not heap and more and not marker.objects([index]):
                heap.held.remove(index)
                home.held.add(index)
                home.parts.append({index})
            elif heap.is_native:
                heap.held.remove(index)


def _lines_or_none(
    blocks: Iterable[int], pieces: Sequence[Piece]
) -> set[tuple[tuple[str, str, int], ...]]:
    """Lines of some blocks; nothing, too, if one has none."""
    return {pieces[index].stack[:1] for index in blocks}


def _join_reused(by_place: dict[tuple[str, ...], Heap], pieces: Sequence[Piece]) -> None:
    """Join few objects to more of the same types that have blocks from the same line.

    The memory of the few was another object's before, and was allocated at another line.

    Args:
        by_place: the groups, which are changed.
        pieces: all blocks.
    """
    lines = {place: _lines(heap.held, pieces) for place, heap in by_place.items()}
    ranked = sorted(by_place, key=lambda place: by_place[place].tops)
    for place in ranked:
        heap, kinds = by_place[place], place[_KINDS_FROM:]
        larger = (
            other
            for other in reversed(ranked)
            if other in by_place
            and by_place[other].tops > _MORE * heap.tops
            and other[_KINDS_FROM:] == kinds
            and lines[other] & lines[place]
        )
        home = next(larger, None) if heap.is_of_objects else None
        if home is not None:
            by_place[home].add(by_place.pop(place))


def _lines(
    blocks: Iterable[int], pieces: Sequence[Piece]
) -> set[tuple[tuple[str, str, int], ...]]:
    return {pieces[index].stack[:1] for index in blocks if pieces[index].stack}


def with_main_line(heap: Heap, marker: Marker, pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """The blocks of a group, those that may have been used before with its main line.

    The interpreter keeps dicts, lists and tuples for reuse. Their memory was allocated where
    the first of them was made, which has nothing to do with the leak.

    Args:
        heap: the group.
        marker: knows which blocks are objects.
        pieces: all blocks.
    """
    reused = {index for index in heap.held if marker.may_be_reused(index)}
    # where all may be, lines of objects are better than those of their tables, unless only
    # the test runner's are known of them
    sure = heap.held - reused or {index for index in heap.held if marker.is_object(index)}
    if all(
        is_pytest(line_of_shared(pieces[index].stack)[0])
        for index in sure
        if pieces[index].stack
    ):
        sure = heap.held
    others = [pieces[index] for index in sure if pieces[index].stack]
    found = Counter(line_of_shared(piece.stack) for piece in others)
    if len(found) > 1:
        own = Counter({line: n for line, n in found.items() if not is_pytest(line[0])})
        found = own or found
    few = _STRAY * max(found.values(), default=0) if sure <= reused else 0
    lines = Counter({line: count for line, count in found.items() if count >= few})
    if not lines:
        return tuple(pieces[index] for index in sorted(heap.held))
    (main, _), *_ = lines.most_common(1)
    model = next(piece for piece in others if line_of_shared(piece.stack) == main)

    def settled(index: int) -> Piece:
        piece: Any = pieces[index]
        if index not in reused or (piece.stack and line_of_shared(piece.stack) in lines):
            return cast("Piece", piece)
        return cast("Piece", replace(piece, stack=model.stack, native=model.native))

    return tuple(settled(index) for index in sorted(heap.held))


def _strays(
    heap: Heap, lines: Counter[Any], marker: Marker, pieces: Sequence[Piece]
) -> set[int]:
    """Single large blocks to which only an old pointer in other memory leads.

    Args:
        heap: the group.
        lines: how many of its blocks are from each line.
        marker: knows which blocks are objects.
        pieces: all blocks.
    """
    few = _STRAY * max(lines.values())
    return {
        index
        for index in heap.held
        if pieces[index].in_c_heap
        and lines[pieces[index].stack[:1]] < few
        and not marker.is_object(index)
    }


def replaced(
    unclaimed: set[int],
    marker: Marker,
    everything: Sequence[Any],
    leave_out: set[int],
    least: int,
    *,
    gone: int,
    unchanged: Callable[[Sequence[Any]], set[int]],
) -> set[int]:
    """Blocks that are in containers which have not grown: there were others in their place.

    A cache that is full is one, or a structure that is renewed; the environment, too, where
    each call sets all its variables, though the collector does not follow their dict. So are
    many that each have a few new objects, if as many others are gone: the methods that each
    call binds to all objects of some kind.

    Args:
        unclaimed: indices of the blocks that no container has that grew.
        marker: knows what refers to what.
        everything: the objects that the collector follows.
        leave_out: ids of containers that are not asked about.
        least: new items that such a container has.
        gone: objects that were there before the calls, and are there no more.
        unchanged: tells ids of those containers that have not grown at all.
    """
    wanted = marker.object_ids(unclaimed)
    found: set[int] = set()
    plain: set[int] = set()
    with_few: list[tuple[Any, list[int]]] = []
    for start in range(0, len(everything), _CHUNK):
        chunk = [*everything[start : start + _CHUNK]]
        chunk += untracked_dicts(chunk)
        if wanted.isdisjoint(map(id, raw.referents(*chunk))):
            continue
        for holder in chunk:
            if id(holder) in leave_out or marker.is_new(holder) or not raw.length(holder):
                continue
            hits = list(filter(wanted.__contains__, map(id, referents(holder))))
            if len(hits) >= least:
                found |= marker.held_by(holder)
            elif hits:
                # many may have one each: numbers that the counters of old objects come to
                plain.update(hits)
                with_few.append((holder, hits))
    constant = unchanged([holder for holder, _ in with_few])
    few = marker.indices_of(
        hit for holder, hits in with_few if id(holder) in constant for hit in hits
    )
    if len(few) >= _SEVERAL:  # one may be the first of a list that is linked
        below = set().union(*map(marker.reached, sorted(few)))
        found |= below if len(marker.objects(below)) <= gone else set()
    return unclaimed & (found | marker.plain_objects(plain))


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
    if marker.is_plain_dict(top):  # most are used again: their lines tell nothing
        return ("", "", "", "dict")
    own = pieces[top].stack
    if own:
        file, line, function = line_of_shared(own)
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
    heap.types = own.count(math.ceil(_FOUND * least))
    chains = search.chains(own.targets()) if heap.types else []
    if heap.types and not chains:
        chains = chains_from_above(own, search, math.ceil(_FOUND * least))
    if chains:
        heap.replaces = _gets_others(chains[0], survivors, least)
        path = retention_path(chains[0], roots=search.roots, new=survivors.ids, grower=None)
        excuses = path.owner or path.bounded
        if not excuses or _holds(chains[0], heap, survivors, marker):
            heap.path = path


def _holds(chain: Chain, heap: Heap, survivors: Survivors, marker: Marker) -> bool:
    """Whether what a chain leads to holds a good part of the blocks.

    One that it holds may lie in memory that was allocated where the others were lost.
    """
    old = [held for held in chain.objects if id(held) not in survivors.ids]
    held = marker.held_by(old[-1]) if old else set()
    return len(held & heap.held) >= _HELD * len(heap.held)


def _gets_others(chain: Chain, survivors: Survivors, least: int) -> bool:
    """Whether a container on the way has as many new items without having grown.

    It got them in the place of others: a cache that is full, a generation that is renewed.
    """
    return any(
        gained_by(held, survivors.ids) >= least
        for held in chain.objects
        if id(held) not in survivors.ids
    )
