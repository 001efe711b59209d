"""Reads the memory that this process has for itself: without files and shared memory."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pytest_memguard.probes.resident import ProcFile, resident_reader

_FIELDS_OF_STATM: Final = 7


def own_memory_reader() -> Callable[[], int]:
    """Return a function that returns the bytes that this process has for itself.

    Processes that run the same program share its code, which their resident memory counts for
    each of them. Where the system does not count it apart, all resident memory counts.

    Raises:
        Unmeasurable: if nothing reports them; the function raises it too, later on.
    """
    if sys.platform != "linux":
        return resident_reader()
    try:
        file = ProcFile("statm")
    except OSError:
        return resident_reader()
    page, pread = os.sysconf("SC_PAGESIZE"), os.pread

    def own_memory() -> int:
        # the text itself shows whether it is this file: a check would cost time at every test
        try:
            fields = pread(file.descriptor, 64, 0).split()
        except OSError:
            fields = []
        if len(fields) != _FIELDS_OF_STATM:
            fields = file.read(64).split()
        return (int(fields[1]) - int(fields[2])) * page

    return own_memory


def own_memory_of(pid: int) -> int | None:
    """Return the bytes that another process has for itself; ``None`` if that is not known.

    Args:
        pid: number of the process.
    """
    if sys.platform != "linux":
        import psutil

        try:
            return int(psutil.Process(pid).memory_info().rss)
        except psutil.Error:
            return None
    try:
        text = Path(f"/proc/{pid}/statm").read_text("ascii")
    except (OSError, ValueError):
        return None
    _, resident, shared, *_ = text.split()
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGESIZE")
