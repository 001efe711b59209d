"""Groups blocks that no container holds, by what refers to them and what allocated them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, cast

from pytest_memguard.attribution import raw
from pytest_memguard.attribution.containers import gained_by
from pytest_memguard.attribution.entries import chains_from_above
from pytest_memguard.attribution.exit_functions import may_be_registered
from pytest_memguard.attribution.handed_on import owners_of_handed_on
from pytest_memguard.attribution.kept_by_extensions import kept_by_extensions
from pytest_memguard.attribution.leak_lines import (
    c_functions,
    innermost,
    is_ours,
    is_pytest,
    line_of_shared,
)
from pytest_memguard.attribution.marking import BlockMarker
from pytest_memguard.attribution.new_objects import NewObjects
from pytest_memguard.attribution.references import referents
from pytest_memguard.attribution.retention import Chain, Search, retention_path
from pytest_memguard.attribution.runners_blocks import code_file, made_by_runner
from pytest_memguard.attribution.sizes import untracked_dicts
from pytest_memguard.attribution.uppermost import from_above

if TYPE_CHECKING:
    from pytest_memguard.attribution.pieces import Piece
    from pytest_memguard.model.leaks import RetentionPath, TypeGrowth

_CHUNK: Final = 2_000
_KINDS_FROM: Final = 3
_MORE: Final = 3
"""A few objects join others of which there are at least so many times as many."""
_STRAY: Final = 0.25
"""Blocks from another line belong to a group if they are this share of those from its main
line."""
_LEAST_SHARE_OF_PARTS: Final = 0.5
"""A line that fewer than this share of a group's parts have does not belong to the group."""
_FOUND: Final = 0.75
"""Least share of the objects of a leak that is found: old pointers may seem to hold others."""

_HELD: Final = 0.5
"""Least share of the blocks of a leak that a holder must have for them to be no leak."""
_MOST: Final = 0.5
"""A line's blocks belong to a group that has more than this share of them."""
_SEVERAL: Final = 4
"""The least number of objects that may be renewed one by one."""
_HAVE_OBJECTS: Final = 0.5
"""Objects are a part of a heap if this share of its blocks at the top leads to objects."""


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
        self.may_be_registered = True
        """Whether the registry of `atexit` may refer to all of them."""

    def add(self, other: Heap) -> None:
        """Add the blocks of another heap."""
        self.held |= other.held
        self.parts += other.parts
        self.with_objects += other.with_objects

    @property
    def tops(self) -> int:
        """Return how many of the blocks no other of them refers to."""
        return len(self.parts)

    @property
    def has_objects(self) -> bool:
        """Return whether objects are a part of it, and not only a few that seem to be.

        Memory that C code has allocated and not written to may contain old pointers.
        """
        return self.with_objects > 0 and self.with_objects >= _HAVE_OBJECTS * self.tops


def leftover(
    unclaimed: set[int],
    new_objects: NewObjects,
    marker: BlockMarker,
    pieces: Sequence[Piece],
    search: Search,
    least: int,
) -> list[Heap]:
    """Return groups of blocks of which there are enough from one line.

    Args:
        unclaimed: indices of the blocks.
        new_objects: the new objects.
        marker: finds what refers to what.
        pieces: all blocks.
        search: searches for holders.
        least: the least number of blocks of one line.
    """
    by_place: dict[tuple[str, ...], Heap] = {}
    left = set(unclaimed)
    for top in from_above(unclaimed, marker, pieces):
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
        heap.may_be_registered &= may_be_registered(top, marker)
    _return_strays(by_place, marker, pieces)
    _join_reused(by_place, pieces)
    found: dict[str, Heap] = {}
    every = sum((_lines_of(heap.held, pieces) for heap in by_place.values()), Counter())
    for place, heap in by_place.items():
        lines = _lines_of(heap.held, pieces)
        # old pointers may have put a few of its blocks into other groups
        mostly = (every[line] for line, count in lines.items() if count > _MOST * every[line])
        if max(heap.tops, *lines.values(), *mostly, 0) < least or not lines:
            continue
        heap.held -= _strays(heap, lines, marker, pieces, least)
        _find_holder(heap, new_objects, marker, search, least)
        if heap.replaces:
            continue
        name = heap.path.holder if heap.path is not None else repr(place)
        known = found.setdefault(name, heap)
        known.held |= heap.held
    return list(found.values())


def _lines_of(
    held: Iterable[int], pieces: Sequence[Piece]
) -> Counter[tuple[tuple[str, str, int], ...]]:
    """Return how many of some blocks are from each line."""
    return Counter(innermost(pieces[index].stack) for index in held if pieces[index].stack)


def _is_ours(index: int, marker: BlockMarker, pieces: Sequence[Piece]) -> bool:
    """Return whether our own code allocated a block, and no other object has got it since."""
    piece = pieces[index]
    return piece.of_instruments or (is_ours(piece.stack) and not marker.may_be_reused(index))


def _return_strays(
    by_place: dict[tuple[str, ...], Heap], marker: BlockMarker, pieces: Sequence[Piece]
) -> None:
    """Return what only a few parts of a group have to the group of its line, if there is one.

    Only old pointers lead to it, in memory that C code has allocated and not written to. A text
    would be missed most, because it is the only block of its call. What has no group stays
    where an object refers to it.

    Args:
        by_place: the groups, which are changed.
        marker: finds what refers to what.
        pieces: all blocks.
    """
    for heap in by_place.values():
        counts = Counter(line for part in heap.parts for line in _lines_or_none(part, pieces))
        few = _LEAST_SHARE_OF_PARTS * heap.tops
        strays = {i for i in heap.held if counts[innermost(pieces[i].stack)] < few}
        if strays:
            strays -= owners_of_handed_on(heap.held, marker, pieces).keys()
        for index in sorted(strays):
            home = by_place.get(_place_of(index, {index}, marker, pieces, {}), heap)
            more = home.tops > counts[innermost(pieces[index].stack)]
            if home is not heap and more and not marker.objects([index]):
                heap.held.remove(index)
                home.held.add(index)
                home.parts.append({index})
            elif heap.is_native:
                heap.held.remove(index)


def _lines_or_none(
    blocks: Iterable[int], pieces: Sequence[Piece]
) -> set[tuple[tuple[str, str, int], ...]]:
    """Return the lines of some blocks; none if one block has no line."""
    return {innermost(pieces[index].stack) for index in blocks}


def _join_reused(by_place: dict[tuple[str, ...], Heap], pieces: Sequence[Piece]) -> None:
    """Join a few objects to many of the same types with blocks from the same line.

    The memory of the few belonged to other objects before, which were allocated at another
    line.

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
    return {innermost(pieces[index].stack) for index in blocks if pieces[index].stack}


def with_main_line(
    heap: Heap, marker: BlockMarker, pieces: Sequence[Piece]
) -> tuple[Piece, ...]:
    """Return the blocks of a group, with its main line for those that may be reused.

    The interpreter keeps dicts, lists and tuples for reuse. Their memory was allocated where
    the first object in it was made, which need have nothing to do with the leak, unless another
    object of the group is from a line of the same function. What the test runner
    has made, such as the frames that a traceback keeps, stays where it is. So does everything
    beside frames: their functions have many lines, of which none is the main one.

    Args:
        heap: the group.
        marker: knows which blocks are objects.
        pieces: all blocks.
    """
    if any(raw.is_exactly(held, FrameType) for held in marker.objects(heap.held)):
        return tuple(_without_ours(pieces[index]) for index in sorted(heap.held))
    reused = {
        index
        for index in heap.held
        if marker.may_be_reused(index) and code_file(marker, index) is None
    }
    handed_on = owners_of_handed_on(heap.held, marker, pieces)
    kept = kept_by_extensions(heap.held, marker, pieces) | handed_on
    # where all may be, lines of objects are better than those of their tables, unless only
    # the test runner's are known of them
    sure = heap.held - reused - handed_on.keys() or {
        index for index in heap.held if marker.is_object(index)
    }
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
    functions = {(file, function) for file, _, function in lines}
    model = next(piece for piece in others if line_of_shared(piece.stack) == main)
    runners = made_by_runner(heap.held, marker, pieces) if not is_pytest(main[0]) else set()

    def settled(index: int) -> Piece:
        piece: Any = pieces[index]
        if index in runners:
            return _without_ours(piece)
        if index in kept:
            like = pieces[kept[index]]
        elif index not in reused or _is_from(piece, functions):
            return cast("Piece", piece)
        else:
            like = model
        return cast("Piece", replace(piece, stack=like.stack, native=like.native))

    return tuple(settled(index) for index in sorted(heap.held))


def _is_from(piece: Any, functions: Collection[tuple[str, str]]) -> bool:
    """Return whether a block was allocated in one of some functions, by file and name."""
    if not piece.stack:
        return False
    file, _, function = line_of_shared(piece.stack)
    return (file, function) in functions


def _without_ours(piece: Piece) -> Piece:
    """Return a block; one from a line of this package has no line worth naming."""
    some: Any = piece
    return cast("Piece", replace(some, stack=()) if is_ours(piece.stack) else piece)


def _strays(
    heap: Heap,
    lines: Counter[Any],
    marker: BlockMarker,
    pieces: Sequence[Piece],
    least: int,
) -> set[int]:
    """Return single large blocks to which only old pointers lead.

    The table of an object is none of them, however few there are.

    Args:
        heap: the group.
        lines: the number of its blocks from each line.
        marker: knows which blocks are objects.
        pieces: all blocks.
        least: the number of blocks of a line that each call leaves.
    """
    few = min(least, _STRAY * max(lines.values()))
    found = {
        index
        for index in heap.held
        if pieces[index].in_c_heap
        and lines[innermost(pieces[index].stack)] < few
        and not marker.is_object(index)
    }
    if found:
        found -= owners_of_handed_on(heap.held, marker, pieces).keys()
        found -= marker.tables(marker.objects(heap.held))
    return found


def replaced(
    unclaimed: set[int],
    marker: BlockMarker,
    everything: Sequence[Any],
    leave_out: set[int],
    least: int,
    *,
    gone: int,
    unchanged: Callable[[Sequence[Any]], set[int]],
) -> set[int]:
    """Return blocks in containers that have not grown: they replaced others.

    A full cache is such a container, and so is a structure that is renewed. The environment is
    one if each call sets all its variables, though the garbage collector does not track their
    dict. So are many containers that each have a few new objects, if as many others are gone:
    the methods that each call binds to all objects of some kind.

    Args:
        unclaimed: indices of the blocks that no container has that grew.
        marker: finds what refers to what.
        everything: the objects that the garbage collector tracks.
        leave_out: ids of containers to ignore.
        least: the least number of new items that such a container has.
        gone: objects that existed before the calls and no longer exist.
        unchanged: returns the ids of those containers that have not grown at all.
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
                found |= marker.held_by(holder, within_lines=True)
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
    marker: BlockMarker,
    pieces: Sequence[Piece],
    known: Mapping[tuple[str, ...], Heap],
) -> tuple[str, ...]:
    """Return what the blocks of one leak have in common: the line, and what is allocated there.

    An object in reused memory has no line of its own. It gets that of a leak of the same type
    with blocks from the same line.
    """
    kinds = tuple(raw.type_name(type(held)) for held in marker.objects([top]))
    if marker.is_plain_dict(top):  # most are used again: their lines prove nothing
        return ("", "", "", "dict")
    own = pieces[top].stack
    if own:
        file, line, function = line_of_shared(own)
        return (file, str(line), function, *(kinds or c_functions(pieces[top].native)))
    lines = {innermost(pieces[index].stack) for index in held if pieces[index].stack}
    for place, heap in known.items():
        others = {innermost(pieces[index].stack) for index in heap.held if pieces[index].stack}
        if place[_KINDS_FROM:] == kinds and (lines & others or not lines):
            return place
    return ("", "", "", *kinds)


def _find_holder(
    heap: Heap, new_objects: NewObjects, marker: BlockMarker, search: Search, least: int
) -> None:
    """Find what holds the objects among the blocks, if there are any."""
    own = NewObjects(marker.objects(heap.held), set())
    search.leave_out(own.own)
    heap.types = own.count(math.ceil(_FOUND * least))
    chains = search.chains(own.targets()) if heap.types else []
    if heap.types and not chains:
        chains = chains_from_above(own, search, math.ceil(_FOUND * least))
    if chains:
        heap.replaces = _gets_others(chains[0], new_objects, least)
        path = retention_path(
            chains[0], roots=search.roots, new=new_objects.ids, growing_container=None
        )
        excuses = path.owner or path.bounded
        if not excuses or _holds(chains[0], heap, new_objects, marker):
            heap.path = path


def _holds(chain: Chain, heap: Heap, new_objects: NewObjects, marker: BlockMarker) -> bool:
    """Return whether the end of a chain holds a good part of the blocks.

    A single one that it holds may be in memory that was allocated where the others were lost.
    """
    old = [held for held in chain.objects if id(held) not in new_objects.ids]
    held = marker.held_by(old[-1]) if old else set()
    return len(held & heap.held) >= _HELD * len(heap.held)


def _gets_others(chain: Chain, new_objects: NewObjects, least: int) -> bool:
    """Return whether a container on a chain has as many new items without having grown.

    It got them in place of others: a full cache, or a generation that is renewed.
    """
    return any(
        gained_by(held, new_objects.ids) >= least
        for held in chain.objects
        if id(held) not in new_objects.ids
    )
