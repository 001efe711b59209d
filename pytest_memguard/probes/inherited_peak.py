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
    """The high-water mark of a process whose ``ru_maxrss`` is that of a larger one.

    A process inherits ``ru_maxrss`` from the one that started it. Below that only
    /proc/self/status has the mark (VmHWM), and takes long to read. But resident memory rises
    by page faults, and getrusage counts those (getrusage(2), ru_minflt and ru_majflt). After
    a few of them, of 4 KiB each or 64 KiB where neighbouring pages of a file are mapped with
    it, the mark lies by no more above the level. Where the system makes pages of 2 MiB
    unasked, that holds only after none.

    Args:
        level: reads the resident bytes.
        usage: returns what all threads of the process have used.
        mark: reads the mark, in bytes, however long that takes.
        negligible: how many faults make no difference; by default what the system's setting
            of huge pages allows.

    Attributes:
        read_mark: reads the mark, in bytes, however long that takes.
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
        """Return the resident bytes, to which the mark has just been reset."""
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
    """Return after how many page faults resident memory has hardly risen.

    Args:
        setting: the file that says whether huge pages are used unasked.
    """
    try:
        unasked = "[always]" in setting.read_text(encoding="ascii")
    except (OSError, ValueError):
        unasked = False  # a kernel without huge pages
    return 0 if unasked else _NEGLIGIBLE_FAULTS
