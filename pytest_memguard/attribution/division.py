"""Divides the blocks that calls left behind among the holders that keep them."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from pytest_memguard.attribution.c_memory import CMemory
from pytest_memguard.attribution.growth import STEADY, NoCollection
from pytest_memguard.attribution.holder_groups import HolderGroups
from pytest_memguard.attribution.holding import Holding
from pytest_memguard.attribution.kept_frames import running_frames, with_kept_frames
from pytest_memguard.attribution.leftover import Heap, leftover, replaced
from pytest_memguard.attribution.marking import BlockMarker
from pytest_memguard.attribution.moved_tables import shares_added
from pytest_memguard.attribution.new_objects import NewObjects
from pytest_memguard.attribution.old_tables import OldTables
from pytest_memguard.attribution.pieces import Piece, with_reused
from pytest_memguard.attribution.retention import Search, stack_frames
from pytest_memguard.attribution.session_owners import Owners
from pytest_memguard.attribution.sizes import Sizes
from pytest_memguard.attribution.values import grown_values, module_values

_START_SHARE: Final = 0.4
_PART_OF_GROWTH: Final = 0.5
"""A part of the calls shows an even leak if it leaves this share of the expected blocks."""
_FEWEST: Final = 4
"""The least number of blocks that show in which parts of the calls they were made."""


class Division:
    """Examines the process before and after calls whose blocks are all tracked.

    The heap is frozen in between, as with `growth.Growth`.

    Args:
        seconds: the most CPU time of this thread for the work before and after.
        owners: as for `retention.Search`.
    """

    def __init__(self, *, seconds: float, owners: Owners = ()) -> None:
        started = time.thread_time()
        self._owners = owners
        with NoCollection():
            gc.unfreeze()
            stack_frames()  # frames become objects when they are asked for: not later
            self._values = module_values()
            everything = gc.get_objects()
            end = started + _START_SHARE * seconds
            self._sizes = Sizes(everything, end, counts=False)
            self._tables = OldTables(everything)
            del everything
            self._total = len(gc.get_objects())
            gc.freeze()
        self._seconds = seconds - (time.thread_time() - started)

    def finish(
        self,
        pieces: Callable[[], Sequence[Piece] | None],
        read: Callable[[int, int], bytes],
        *,
        calls: int,
        parts: Sequence[int],
        collect: Callable[[], object],
        heap: range = range(0),
    ) -> list[Holding] | None:
        """Collect garbage, examine the process again, and divide the blocks.

        The heap is not frozen afterwards.

        Args:
            pieces: reads the blocks that are still allocated, by address; returns ``None`` if
                it cannot.
            read: reads memory, as for `marking.BlockMarker`.
            calls: the least number of calls that leaked.
            parts: the number of calls in each part of them.
            collect: collects garbage, if it is to be collected.
            heap: addresses of glibc's heap, where C code may keep what it holds.

        Returns:
            The holdings, leaks before caches that fill; ``None`` if the blocks are not known.
        """
        collect()
        collects = gc.isenabled()
        with NoCollection():
            new = gc.get_objects()
            running = running_frames()
            gc.unfreeze()
            if collects:  # what was alive at the start, is in a cycle and was replaced
                gc.collect()
            gone = self._total + len(new) - len(gc.get_objects())
            new_objects = NewObjects(new, set())
            del new
            blocks = pieces()
            if blocks is None:
                return None
            return self._divided(new_objects, blocks, read, calls, parts, heap, gone, running)

    def _divided(
        self,
        new_objects: NewObjects,
        blocks: Sequence[Piece],
        read: Callable[[int, int], bytes],
        calls: int,
        parts: Sequence[int],
        addresses: range,
        gone: int,
        running: set[int],
    ) -> list[Holding]:
        deadline = time.thread_time() + self._seconds
        least = max(1, math.ceil(STEADY * calls))
        known = with_reused(blocks, new_objects.objects)
        marker = BlockMarker(known, new_objects.objects, read)
        known = with_kept_frames(known, marker, running)
        new_objects.know_blocks(marker.is_new)
        own = new_objects.own | marker.own
        everything = gc.get_objects()
        tables = self._tables.grown(everything)
        grown, _ = self._sizes.grown(
            everything,
            least,
            new_objects.ids,
            deadline,
            count=False,
            leave_out=own,
        )
        grown += self._sizes.grown_near(least)
        del everything
        search = Search(avoid=own, deadline=deadline, owners=self._owners, new=new_objects.ids)
        moved_tables = shares_added(tables, marker)
        groups = HolderGroups(new_objects, marker, known, search, calls, moved_tables)
        groups.add(grown, grown_values(self._values, least))
        groups.add_threads()
        weak = groups.take_weak()
        left = leftover(groups.unclaimed(), new_objects, marker, known, search, least)
        if left:
            everything = gc.get_objects()
            if any(heap.path is None for heap in left):
                # dicts that the collector does not follow, wherever they are held
                groups.add(self._sizes.grown_far(everything, least, deadline), ())
            unclaimed = groups.unclaimed()
            unclaimed -= replaced(
                unclaimed,
                marker,
                everything,
                own,
                least,
                gone=gone,
                unchanged=self._sizes.unchanged,
            )
            del everything
            left = leftover(unclaimed, new_objects, marker, known, search, least)
        left = groups.return_weak(weak, left)
        left = groups.registered(_without_renewed(left, known, parts))
        c_memory = CMemory(addresses, read, search, marker.is_new)
        for heap in left:
            # what C code alone knows is held by old pointers as easily as by new ones
            if heap.path is None and heap.has_objects:
                heap.path = c_memory.holder(marker.native(heap.held))
        cut_short = not self._sizes.complete or time.thread_time() > deadline
        groups.find_second_holders()
        groups.find_hidden_references()
        found = [*groups.shared_out(), *map(groups.holding_of, left)]
        return [replace(one, is_cut_short=cut_short) for one in found]


def _without_renewed(
    heaps: Sequence[Heap], pieces: Sequence[Piece], parts: Sequence[int]
) -> list[Heap]:
    """Return the heaps without renewed structures, and without what appeared once.

    A leak has blocks from each of the later parts of the calls. A renewed structure has blocks
    of the last call alone.

    Args:
        heaps: the heaps.
        pieces: all blocks.
        parts: the number of calls in each part of them.
    """
    return [heap for heap in heaps if _goes_on([pieces[i] for i in heap.held], parts)]


def _goes_on(pieces: Sequence[Piece], calls: Sequence[int]) -> bool:
    """Return whether each of the later parts of the calls left a good part of some blocks."""
    parts = [piece.part for piece in pieces if piece.stack]
    if len(parts) < _FEWEST:
        return True
    least = _PART_OF_GROWTH * len(parts) / sum(calls)
    return all(
        parts.count(number) >= least * made for number, made in enumerate(calls) if number > 0
    )
