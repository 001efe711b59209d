"""Reads how much resident memory of this process belongs to no file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Final

from pytest_memguard.probes.resident import ProcFile

_FIELDS_OF_STATM: Final = 7
_NAME: Final = 5
_KIB: Final = 1024


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


def anonymous_exactly() -> int:
    """Return these bytes, stacks left out, in 10 to 60 milliseconds.

    Raises:
        OSError: if the kernel does not say.
    """
    with open("/proc/self/smaps", "rb") as file:  # noqa: PTH123  a phase begins
        return sum_of_anonymous(file)


def sum_of_anonymous(lines: Iterable[bytes]) -> int:
    """Return the anonymous bytes of mappings that have no file, and are no stack.

    Args:
        lines: content of /proc/self/smaps.
    """
    total, counts = 0, False
    for line in lines:
        if line.startswith(b"Anonymous:"):
            total += int(line.split()[1]) * _KIB if counts else 0
        elif b"-" in line.partition(b" ")[0]:
            fields = line.split(maxsplit=_NAME)
            name = fields[_NAME].strip() if len(fields) > _NAME else b""
            counts = not name or name == b"[heap]" or name.startswith(b"[anon")
    return total
