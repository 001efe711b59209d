"""The high-water mark where getrusage tells that of the process this one came from (Linux)."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import resource

_FEW: Final = 4
_HUGE_PAGES: Final = Path("/sys/kernel/mm/transparent_hugepage/enabled")


class HeirMark:
    """The mark of a process to which getrusage tells that of the process it came from.

    It stands in /proc/self/status, which takes long to read. But resident memory rises by
    page faults, and of those getrusage tells the number (getrusage(2), ru_minflt and
    ru_majflt). After a few of them, of 4 KiB each or 64 KiB where neighbouring pages of a file
    are mapped with it, the mark lies by no more above the level. Where the system
    makes pages of 2 MiB unasked, after none.

    Args:
        level: reads the resident bytes.
        usage: tells what all threads of the process have used.
        mark: reads the mark, in bytes, however long that takes.
        few: how many faults make no difference; found out where it is not given.

    Attributes:
        read_mark: likewise.
    """

    def __init__(
        self,
        level: Callable[[], int],
        usage: Callable[[], resource.struct_rusage],
        mark: Callable[[], int],
        few: int | None = None,
    ) -> None:
        self._read_level = level
        self._usage = usage
        self.read_mark = mark
        self._few = few_faults() if few is None else few
        self._level = 0
        self._faults = -_FEW - 1

    def level(self) -> int:
        """The resident bytes, after the mark has been put back to them."""
        usage = self._usage()
        self._faults = usage.ru_minflt + usage.ru_majflt
        level = self._level = self._read_level()
        return level

    def mark(self) -> int:
        """The highest level since the mark was put back, in bytes."""
        usage = self._usage()
        new = usage.ru_minflt + usage.ru_majflt - self._faults
        if 0 <= new <= self._few:  # a forked child begins to count anew
            return self._level + new * mmap.PAGESIZE
        return self.read_mark()


def few_faults(setting: Path = _HUGE_PAGES) -> int:
    """After how many page faults resident memory has hardly risen.

    Args:
        setting: the file that tells whether huge pages are used unasked.
    """
    try:
        unasked = "[always]" in setting.read_text(encoding="ascii")
    except (OSError, ValueError):
        unasked = False  # a kernel without huge pages
    return 0 if unasked else _FEW
