"""Reads how much resident memory of this process belongs to no file."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from pytest_memguard.probes.resident import ProcFile

_FIELDS_OF_STATM: Final = 7
_NAME: Final = 5
_KIB: Final = 1024
_AT_ONCE: Final = 65_536
"""Pages about which the kernel is asked at once."""
_RESERVED: Final = 64 << 30
"""Bytes of addresses from which on to ask about each page takes longer than to count."""


def anonymous_reader() -> Callable[[], int]:
    """Return the fastest function that returns an upper bound of these bytes.

    It counts pages of files that the process has changed as well, such as those of a library
    that was relocated.

    Raises:
        OSError: if the kernel does not say.
    """
    file, page = ProcFile("statm"), os.sysconf("SC_PAGESIZE")

    def anonymous() -> int:
        fields = file.read(128).split()
        resident, shared = fields[1:3] if len(fields) == _FIELDS_OF_STATM else (0, 0)
        return (int(resident) - int(shared)) * page

    anonymous()
    return anonymous


def anonymous_within(most: int) -> int:
    """Return these bytes, stacks left out: exactly if they are more than ``most``.

    If not, pages of zeros that were only read may be included. That takes one or two
    milliseconds, an exact number 10 to 60.

    Args:
        most: so many bytes do not matter.

    Raises:
        OSError: if the kernel does not say.
    """
    try:
        total = _sum_of_present()
    except (OSError, AttributeError, ValueError):
        return anonymous_exactly()
    return total if total <= most else anonymous_exactly()


def anonymous_exactly() -> int:
    """Return these bytes, stacks left out, in 10 to 60 milliseconds.

    Raises:
        OSError: if the kernel does not say.
    """
    with open("/proc/self/smaps", "rb") as file:  # noqa: PTH123  a phase begins
        return sum_of_anonymous(file)


def _sum_of_present() -> int:
    """Return the bytes of pages that the kernel has for such mappings, those of zeros too."""
    page, present = os.sysconf("SC_PAGESIZE"), ctypes.CDLL(None, use_errno=True).mincore
    with open("/proc/self/maps", "rb") as file:  # noqa: PTH123  a phase begins
        spans = list(anonymous_mappings(file))
    if sum(end - start for start, end in spans) > _RESERVED:
        raise OSError(errno.E2BIG, "too many addresses")
    step = _AT_ONCE * page
    found, pages = ctypes.create_string_buffer(_AT_ONCE), 0
    for start, end in spans:
        for first in range(start, end, step):
            size = min(step, end - first)
            if present(ctypes.c_void_p(first), ctypes.c_size_t(size), found):
                raise OSError(ctypes.get_errno(), "mincore")
            number = size // page
            pages += number - found.raw.count(0, 0, number)
    return pages * page


def anonymous_mappings(lines: Iterable[bytes]) -> Iterator[tuple[int, int]]:
    """Yield first and last address of the mappings that have no file, and are no stack.

    Args:
        lines: content of /proc/self/maps.
    """
    for line in lines:
        if _counts(line):
            start, _, end = line.partition(b" ")[0].partition(b"-")
            yield int(start, 16), int(end, 16)


def sum_of_anonymous(lines: Iterable[bytes]) -> int:
    """Return the anonymous bytes of mappings that have no file, and are no stack.

    Args:
        lines: content of /proc/self/smaps.
    """
    total, counts = 0, False
    for line in lines:
        if line < b"A" or line >= b"a":  # a range of addresses; names of fields are capitalised
            counts = _counts(line)
        elif counts and line < b"B" and line.startswith(b"Anonymous:"):
            total += int(line.split()[1]) * _KIB
    return total


def _counts(mapping: bytes) -> bool:
    fields = mapping.split(maxsplit=_NAME)
    name = fields[_NAME].strip() if len(fields) > _NAME else b""
    return not name or name == b"[heap]" or name.startswith(b"[anon")
