"""A surviving block as the search for holders reads it, and old blocks that objects reuse."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol

from pytest_memguard.attribution import raw
from pytest_memguard.values import dataclass

WORD: Final = 8
HEAD: Final = 16
"""Bytes in front of an object that the garbage collector tracks: links to other such
objects."""
_SMALLEST_CHUNK: Final = 32
"""Bytes of the smallest chunk of glibc, with pointers of 8 bytes."""
_CHUNK_STEP: Final = 16
_CHUNK_HEAD: Final = 8


class Piece(Protocol):
    """A block, such as `probes.block_tracker.Block`."""

    @property
    def address(self) -> int:
        """Its address."""

    @property
    def size(self) -> int:
        """Its bytes."""

    @property
    def stack(self) -> tuple[tuple[str, str, int], ...]:
        """Function, file and line of every Python frame, innermost first."""

    @property
    def native(self) -> tuple[str, ...]:
        """C functions called from the innermost Python frame, innermost first."""

    @property
    def of_python(self) -> bool:
        """Whether it is from Python's allocators."""

    @property
    def small(self) -> int:
        """Its bytes, if it is in one of Python's arenas; otherwise 0."""

    @property
    def block(self) -> int:
        """Bytes of each block, if there are several alike."""

    @property
    def in_c_heap(self) -> bool:
        """Whether its memory is from the C library."""

    @property
    def of_instruments(self) -> bool:
        """Whether it exists only because allocations are tracked."""

    @property
    def count(self) -> int:
        """Number of blocks."""

    @property
    def part(self) -> int:
        """Which part of the calls allocated it, from 0."""

    @property
    def order(self) -> int:
        """Its place in the order in which the blocks were allocated, from 1; 0 if unknown."""

    @property
    def tables(self) -> int:
        """Whether it is a table that was there before, and only its bytes are more: 1 or 0."""

    @property
    def pool(self) -> str:
        """The C function that had it from malloc, if it gives hardly any memory back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reused:
    """An old block, kept by the interpreter for reuse, that a new object has got."""

    address: int
    """Its address."""
    size: int
    """Its bytes."""
    stack: tuple[tuple[str, str, int], ...] = ()
    """Empty: these calls did not allocate it."""
    native: tuple[str, ...] = ()
    """Empty as well."""
    of_python: bool = True
    """It is from Python's allocators."""
    in_c_heap: bool = False
    """It is small."""
    of_instruments: bool = False
    """It contains an object of the calls."""
    small: int = 0
    """It was in an arena before."""
    block: int = 0
    """It is a single block."""
    count: int = 1
    """It is a single block."""
    part: int = 0
    """Unknown: it is an old block."""
    order: int = 0
    """Unknown as well."""
    tables: int = 0
    """It is no table."""
    pool: str = ""
    """It is Python's."""


def chunk_size(size: int) -> int:
    """Return the bytes of the C heap that a block takes, with its header."""
    whole = -(-(size + _CHUNK_HEAD) // _CHUNK_STEP) * _CHUNK_STEP
    return max(_SMALLEST_CHUNK, whole)


def with_reused(pieces: Sequence[Piece], new: Iterable[Any]) -> list[Piece]:
    """Return the blocks together with old blocks that new objects have got, by address.

    Args:
        pieces: the surviving blocks, by address.
        new: the new objects.
    """
    starts = array("Q", (piece.address for piece in pieces))
    more = []
    for held in new:
        at = bisect_right(starts, id(held)) - 1
        if at < 0 or id(held) >= pieces[at].address + pieces[at].size:
            size = HEAD + max(WORD, raw.basic_size(type(held)))
            more.append(Reused(address=id(held) - HEAD, size=size))
    return sorted([*pieces, *more], key=lambda piece: piece.address)
