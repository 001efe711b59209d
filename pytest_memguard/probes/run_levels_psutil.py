"""The processes of a run, and what each of them uses, where there is no /proc."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import psutil

from pytest_memguard.model.aborts import ProcessLevel
from pytest_memguard.probes.tree_psutil import PsutilTree


class PsutilRun(PsutilTree):
    """The process that pytest was started in, and its descendants.

    Args:
        root: number of the first process.
        hidden: processes that do not count.

    Raises:
        OSError: if the first process has ended.
    """

    def __init__(self, root: int, hidden: Iterable[int] = ()) -> None:
        super().__init__(root, hidden)
        self._first = psutil.Process(root)

    def check_root(self) -> None:
        """Raise an OSError if the first process has ended."""
        if not self._first.is_running():
            raise ProcessLookupError

    def levels(self) -> tuple[ProcessLevel, ...]:
        """Return what each process uses."""
        return tuple(self._levels())

    def _levels(self) -> Iterator[ProcessLevel]:
        for process in (self._first, *self.living):
            try:
                size = int(process.memory_info().rss)
                yield ProcessLevel(pid=process.pid, parent=process.ppid(), size=size)
            except psutil.Error:
                continue
