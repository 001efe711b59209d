"""Finds tables of containers that were there before some calls and have grown since.

A full table gets another place with more room. To a tracker that is a new block, because it did
not see the table before; but one block has taken the place of another, and the calls keep only
the items that were added.
"""

from __future__ import annotations

import ctypes
import gc
import tracemalloc
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, compress, filterfalse, repeat
from operator import is_, ne, not_
from typing import Any, Final

from pytest_memguard.attribution import raw
from pytest_memguard.attribution.dict_tables import (
    moved_among,
    moved_tables,
    object_traceback,
    traceback_at,
    word_at,
)
from pytest_memguard.values import dataclass

_WORD: Final = 8
_LIST_TABLE: Final = 3 * _WORD
_KINDS: Final[tuple[tuple[type[Any], int, int], ...]] = (
    (dict, 4 * _WORD, 0),
    (list, _LIST_TABLE, 0),
    (set, 5 * _WORD, 4),
    (bytearray, 4 * _WORD, 0),
)
"""Types with a table, the offset of the pointer to it, and the most items that need none."""
_MOST: Final = 400_000
"""The most containers of a kind that are known: there is no time for more."""
_RUN: Final = 64
"""So many containers in a row are compared at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrownTable:
    """The table of a container that has another length than before."""

    container: Any
    """The container."""
    address: int
    """Where its table is now."""
    size: int
    """The table's bytes now."""
    length: int
    """The container's length now."""
    before: int
    """Its length before."""


class OldTables:
    """The lengths of all containers at some moment.

    Nothing is kept alive: containers are remembered by their ids, which mean something only
    together with the knowledge of which objects are new.

    Args:
        objects: the objects that the garbage collector tracks.
    """

    def __init__(self, objects: Sequence[Any]) -> None:
        self._lengths: dict[int, int] = {}
        self._rows: dict[str, tuple[bytes, bytes]] = {}
        for kind, containers in _containers(objects):
            if len(containers) <= _MOST:
                lengths = list(_lengths(kind, containers))
                self._lengths.update(zip(map(id, containers), lengths, strict=True))
                self._rows[kind.__name__] = (_addresses(containers), _bytes_of(lengths))

    def grown(
        self, objects: Sequence[Any], held: Sequence[Any] | None = None
    ) -> list[GrownTable]:
        """Return the tables that were there, of containers with another length now.

        Args:
            objects: the objects that the garbage collector tracks now.
            held: what they refer to, if that is known.
        """
        offsets = {kind: (offset, inside) for kind, offset, inside in _KINDS}
        known = self._lengths.get
        found: dict[int, GrownTable] = {}
        for kind, every in _containers(objects, held):
            containers = self._without_same(kind, every)
            offset, inside = offsets[kind]
            sizeof: Any = kind.__sizeof__
            then = list(map(known, map(id, containers), repeat(0)))
            differ = list(map(ne, then, _lengths(kind, containers)))
            for one, before in zip(
                compress(containers, differ), compress(then, differ), strict=True
            ):
                if before > inside:
                    found[id(one)] = GrownTable(
                        container=one,
                        address=word_at(id(one) + offset),
                        size=sizeof(one) - raw.basic_size(type(one)),
                        length=kind.__len__(one),
                        before=before,
                    )
        return list(found.values())

    def _without_same(self, kind: type[Any], containers: list[Any]) -> list[Any]:
        """Return the containers without long rows of those that have not changed.

        Most are in the same order as before. To look each of them up by its id would allocate
        an integer, and in a trace that takes ten times as long as all else here.
        """
        addresses, lengths = self._rows.get(kind.__name__, (b"", b""))
        now, lengths_now = _addresses(containers), _bytes_of(_lengths(kind, containers))
        found: list[Any] = []
        step, expected = _RUN * _WORD, 0
        for start in range(0, len(now), step):
            row, row_lengths = now[start : start + step], lengths_now[start : start + step]
            place = addresses.find(row, expected)
            if place < 0:
                place = addresses.find(row, 0, expected + step)
            is_known = place >= 0 and place % _WORD == 0
            if is_known and lengths.startswith(row_lengths, place):
                expected = place + step
            else:
                found += containers[start // _WORD : start // _WORD + _RUN]
        return found


def _addresses(containers: list[Any]) -> bytes:
    """Return the addresses of what is in a list, as the list itself has them."""
    table = word_at(id(containers) + _LIST_TABLE)
    return ctypes.string_at(table, len(containers) * _WORD) if containers else b""


def _lengths(kind: type[Any], containers: list[Any]) -> Iterator[int]:
    """Return the lengths of containers of a kind, those of no subclass first.

    Only a subclass may have code for its length. A method of the kind gets its arguments in a
    tuple, and in a trace each such tuple costs as much as a new block.
    """
    plain = list(_are_exactly(kind, containers)).count(True)
    return chain(map(len, containers[:plain]), map(kind.__len__, containers[plain:]))


def _are_exactly(kind: type[Any], objects: list[Any]) -> Iterator[bool]:
    return map(is_, map(type, objects), repeat(kind))


def _bytes_of(lengths: Iterable[int]) -> bytes:
    return array("q", lengths).tobytes()


def _containers(
    objects: Sequence[Any], held: Sequence[Any] | None = None
) -> Iterator[tuple[type[Any], list[Any]]]:
    """Yield the containers of each kind, those of no subclass first.

    No code of theirs runs, and hardly anything is allocated: it may be traced.
    """
    if held is None:
        held = raw.referents(*objects)
    tracked = _of_kind(objects, tuple(kind for kind, _, _ in _KINDS))
    # the collector tracks all others
    untracked = list(filterfalse(gc.is_tracked, _of_kind(held, (dict, bytearray))))
    for kind, _, _ in _KINDS:
        every = _of_kind(tracked, kind) + _of_kind(untracked, kind)
        plain = list(_are_exactly(kind, every))
        yield (kind, [*compress(every, plain), *compress(every, map(not_, plain))])


def _of_kind(objects: Sequence[Any], kind: type | tuple[type, ...]) -> list[Any]:
    return list(compress(objects, map(issubclass, map(type, objects), repeat(kind))))


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedTable:
    """The table of an old container with another length than before."""

    kind: type
    """The container's type."""
    traceback: tracemalloc.Traceback | None
    """What allocated the table, if it has moved."""
    size: int
    """Its bytes."""
    length: int
    """The container's length."""
    before: int
    """Its length before anything was traced."""


class TablesInTrace:
    """Knows which blocks that tracemalloc traces have only taken the place of others.

    Args:
        growing_container: an old object that holds new dicts. Dicts without tracked contents
            are not tracked, so they are searched for in what may hold them.
        old: whether tables of old containers seem to have grown. They are searched for in the
            whole heap, which takes some tenths of a second while it is traced.

    Attributes:
        seeks_old: the same.
    """

    def __init__(self, growing_container: object = None, *, old: bool = False) -> None:
        self._growing_container = growing_container
        self.seeks_old = old
        self._old = OldTables([])

    def start(self) -> None:
        """Note the lengths of all containers, before anything is traced."""
        if self.seeks_old:
            self._old = OldTables(_everything())

    def read(self) -> tuple[Counter[Any], dict[int, TracedTable]]:
        """Return tables that new dicts have got from others, and tables that have grown."""
        if not self.seeks_old:
            return (moved_tables(self._growing_container), {})
        everything = _everything()
        held = raw.referents(*everything, *raw.tables(self._growing_container))
        moves = moved_among([*everything, *held])
        return (moves, dict(self._traced(self._old.grown(everything, held))))

    @staticmethod
    def _traced(grown: Iterable[GrownTable]) -> Iterator[tuple[int, TracedTable]]:
        """Yield tables by the id of their container, but none of a new one in an old place."""
        for table in grown:
            if object_traceback(table.container) is None:
                yield (
                    id(table.container),
                    TracedTable(
                        kind=type(table.container),
                        traceback=traceback_at(table.address),
                        size=table.size,
                        length=table.length,
                        before=table.before,
                    ),
                )


def _everything() -> list[Any]:
    """Return all objects that the garbage collector tracks, frozen ones as well."""
    frozen = gc.get_freeze_count() > 0
    gc.unfreeze()
    found = gc.get_objects()
    if frozen:
        gc.freeze()
    return found
