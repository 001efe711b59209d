"""Ways to use memory, and ways to hold it."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from typing import Any

MIB = 1 << 20
_LIST = 64  # bytes of an empty list with its place in the list that holds it
_BLOCK = 712  # bytes of bytes(667) in a list: too large for pymalloc, so on the C heap


def _mapped(size: int) -> mmap.mmap:
    area = mmap.mmap(-1, size)
    for offset in range(0, size, mmap.PAGESIZE):
        area[offset] = 1
    return area


def _grown(size: int) -> list[None]:
    """A list that reallocates as it grows, as ``append`` does."""
    rows: list[None] = []
    chunk = [None] * 512
    for _ in range(size // 4096):
        rows.extend(chunk)
    return rows


def _shrunk(size: int) -> bytearray:
    """A block that has been large and is reallocated to be small."""
    data = bytearray(size)
    del data[64:]
    return data


def placed(size: int) -> list[None]:
    """A list that has its place from the start, and is never moved as `_grown` is."""
    return [None] * (size // 8)


PAYLOADS: dict[str, Callable[[int], Any]] = {
    "bytearray": bytearray,
    "lists": lambda size: [[] for _ in range(size // _LIST)],
    "blocks": lambda size: [bytes(667) for _ in range(size // _BLOCK)],
    "mmap": _mapped,
    "grown": _grown,
    "shrunk": _shrunk,
}


class Node:
    """Refers to itself, so that only a collection frees it."""

    def __init__(self, data: object) -> None:
        """Close the cycle."""
        self.data = data
        self.me = self


class Finalized(Node):
    """A cycle with a finalizer."""

    def __del__(self) -> None:
        """Take part in finalization."""
        self.data = None


HOLDERS: dict[str, Callable[[Any], Any]] = {
    "plain": lambda data: data,
    "cycle": Node,
    "finalizer": Finalized,
}


def held(kind: str, size: int, holder: str) -> object:
    """Some memory and what holds it.

    Args:
        kind: a key of `PAYLOADS`.
        size: MiB.
        holder: a key of `HOLDERS`.
    """
    return HOLDERS[holder](PAYLOADS[kind](size * MIB))
