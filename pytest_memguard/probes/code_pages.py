"""Maps the code of a forked child, so that using it for the first time raises no level."""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import sys
from collections.abc import Iterator
from typing import Final

_POPULATE_READ: Final = 22
"""MADV_POPULATE_READ, from Linux 5.14 on."""
_IS_PRESENT: Final = 1 << 63
_NEAR: Final = 16
"""Pages that the kernel maps together with one that is used."""


class CodePages:
    """The pages of programme and libraries that this process has mapped so far.

    A forked child has the memory of its parent, but not its files: the kernel maps a page of
    code again when the child first uses it, and then the resident memory of the child rises.
    """

    def __init__(self) -> None:
        self._ranges: list[tuple[int, int]] = []
        if sys.platform != "linux":
            return
        self._madvise = ctypes.CDLL(None).madvise
        self._madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        with contextlib.suppress(OSError):  # there is no /proc, or it lacks the numbers
            self._ranges = list(_mapped(os.sysconf("SC_PAGE_SIZE")))

    def map_again(self) -> None:
        """In a forked child: map them."""
        for start, size in self._ranges:
            self._madvise(start, size, _POPULATE_READ)


def _mapped(page: int) -> Iterator[tuple[int, int]]:
    """Yield start and size of every range of code and constants that is mapped."""
    with open("/proc/self/pagemap", "rb", buffering=0) as pages:  # noqa: PTH123  Path is slower
        for start, end in _files():
            pages.seek(start // page * 8)
            count = (end - start) // page
            data = pages.read(8 * count)
            entries = struct.unpack(f"={len(data) // 8}Q", data)
            for first, last in _runs([n for n, e in enumerate(entries) if e & _IS_PRESENT]):
                yield start + first * page, (last - first + 1) * page


def _files() -> Iterator[tuple[int, int]]:
    with open("/proc/self/maps", encoding="ascii", errors="replace") as lines:  # noqa: PTH123  Path is slower
        for line in lines:
            place, access, _, _, rest = line.split(" ", 4)
            if access in {"r-xp", "r--p"} and "/" in rest:
                start, end = place.split("-")
                yield int(start, 16), int(end, 16)


def _runs(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """Yield first and last of numbers that are near each other."""
    first = last = None
    for number in numbers:
        if first is None or last is None:
            first = number
        elif number - last > _NEAR:
            yield first, last
            first = number
        last = number
    if first is not None and last is not None:
        yield first, last
