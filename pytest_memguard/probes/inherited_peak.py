"""Reads peak RSS below an inherited peak: ``ru_maxrss`` survives exec (Linux)."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import resource

_NEGLIGIBLE_FAULTS: Final = 4
_HUGE_PAGES: Final = Path("/sys/kernel/mm/transparent_hugepage/enabled")


class PeakBelowInherited:
    """The high-water mark of a process whose ``ru_maxrss`` is that of a larger process.

    A process inherits ``ru_maxrss`` from the one that started it. Below that value only
    /proc/self/status has the mark (VmHWM), and reading it is slow. But resident memory rises by
    page faults, which getrusage counts (getrusage(2), ru_minflt and ru_majflt). Each maps 4
    KiB, or 64 KiB if neighbouring pages of a file are mapped with it. So after only a few
    faults the mark is hardly above the level. If the system makes huge pages of 2 MiB by
    default, that holds only after no fault.

    Args:
        level: returns resident bytes.
        usage: returns the resource usage of all threads of the process.
        mark: reads the mark, in bytes; slow.
        negligible: how many faults make no difference; by default what the system's setting of
            huge pages allows.

    Attributes:
        read_mark: reads the mark, in bytes; slow.
    """

    def __init__(
        self,
        level: Callable[[], int],
        usage: Callable[[], resource.struct_rusage],
        mark: Callable[[], int],
        negligible: int | None = None,
    ) -> None:
        self._read_level = level
        self._usage = usage
        self.read_mark = mark
        self._negligible_faults = negligible_faults() if negligible is None else negligible
        self._level = 0
        self._faults = -_NEGLIGIBLE_FAULTS - 1

    def level(self) -> int:
        """Return the resident bytes just after the mark was reset."""
        usage = self._usage()
        self._faults = usage.ru_minflt + usage.ru_majflt
        level = self._level = self._read_level()
        return level

    def mark(self) -> int:
        """Return the highest level since the mark was reset, in bytes."""
        usage = self._usage()
        new = usage.ru_minflt + usage.ru_majflt - self._faults
        if 0 <= new <= self._negligible_faults:  # a forked child begins to count anew
            return self._level + new * mmap.PAGESIZE
        return self.read_mark()


def negligible_faults(setting: Path = _HUGE_PAGES) -> int:
    """Return the number of page faults after which resident memory has hardly risen.

    Args:
        setting: the file that says whether huge pages are made by default.
    """
    try:
        unasked = "[always]" in setting.read_text(encoding="ascii")
    except (OSError, ValueError):
        unasked = False  # a kernel without huge pages
    return 0 if unasked else _NEGLIGIBLE_FAULTS
