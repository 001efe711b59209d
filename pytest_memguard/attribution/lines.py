"""Sums up allocations by source line: the innermost line of the user's own code."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from pytest_memguard.model.measurements import CallSite

_FRAMES: Final = 40


class CallSites:
    """Sums up allocations by the line that the report should name.

    That is the innermost line outside the standard library and installed packages; if there is
    none, the innermost line. Frames of this package never count.
    """

    def __init__(self) -> None:
        self._foreign = _foreign_folders()
        self._sizes: dict[tuple[str, int, str], list[int]] = {}

    def add(self, record: Any, *, size: int, count: int, kept: int = 0) -> None:
        """Add the stack of a memray record.

        Args:
            record: has ``stack_trace(max_stacks=...)``.
            size: bytes at the high-water mark.
            count: blocks at the high-water mark.
            kept: bytes at the end.
        """
        entry = self._sizes.setdefault(
            self._line(record.stack_trace(max_stacks=_FRAMES)), [0] * 3
        )
        entry[0] += size
        entry[1] += count
        entry[2] += kept

    def largest(self, limit: int, *, with_kept: bool = False) -> tuple[CallSite, ...]:
        """Return the lines that held most, the largest first."""
        ranked = sorted(
            self._sizes.items(),
            key=lambda item: (-max(item[1][0], item[1][2]), item[0]),
        )
        return tuple(
            CallSite(
                file=file,
                line=line,
                function=function,
                size=size,
                count=count,
                kept=kept if with_kept else None,
            )
            for (file, line, function), (size, count, kept) in ranked[:limit]
            if size or kept
        )

    def _line(self, stack: Sequence[tuple[str, str, int]]) -> tuple[str, int, str]:
        ours = f"{Path(__file__).parent.parent}{os.sep}"
        frames = [frame for frame in stack if not frame[1].startswith(ours)]
        if not frames:
            return ("<no Python frame>", 0, "native code")
        for function, file, line in frames:
            if not file.startswith("<") and not file.startswith(self._foreign):
                return (file, line, function)
        function, file, line = frames[0]
        return (file, line, function)


def _foreign_folders() -> tuple[str, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = {sysconfig.get_paths()[name] for name in names}
    folders |= {path for path in sys.path if path.endswith(("site-packages", "dist-packages"))}
    return tuple(sorted(f"{folder}{os.sep}" for folder in folders))


def sites_at_peak(records: Iterable[Any], limit: int) -> tuple[CallSite, ...]:
    """Return the lines of memray's records at the high-water mark, the largest first."""
    sites = CallSites()
    for record in records:
        sites.add(record, size=record.size, count=record.n_allocations)
    return sites.largest(limit)
