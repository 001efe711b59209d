"""Reads what a process and all its descendants use together, where there is no /proc."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import psutil

from pytest_memguard.probes.tree_linux import TreeSample

if TYPE_CHECKING:
    from pytest_memguard.probes.tree_process import TreeProcess


class PsutilTree:
    """A process and its descendants, as psutil sees them.

    It knows what a process has for itself (USS), at most systems for processes of the same
    user, and resident memory, in which memory that several share counts several times. So the
    first adds up to the least that the tree uses, and the second to the most.

    Args:
        root: number of the first process.
        hidden: processes that do not count, and whose descendants do not.

    Attributes:
        seen: how many descendants there have been.
        ended: kept empty; nothing is known of descendants that have ended.

    Raises:
        OSError: if the first process has ended.
    """

    def __init__(self, root: int, hidden: Iterable[int] = ()) -> None:
        self.seen = self.own_faults = 0
        self.ended: list[TreeProcess] = []
        self._hidden = set(hidden)
        self._below: set[psutil.Process] = set()
        try:
            self._root = psutil.Process(root)
        except psutil.Error as error:
            raise ProcessLookupError(str(error)) from error

    @property
    def living(self) -> list[psutil.Process]:
        """The descendants that live."""
        return list(self._below)

    def hide(self, pids: Iterable[int]) -> None:
        """Leave processes out from now on."""
        self._hidden |= set(pids)

    def sample(self, *, exact: bool) -> TreeSample:
        """Read what the tree uses now.

        Args:
            exact: whether to read what each process has for itself, which takes longer.

        Raises:
            OSError: if the first process has ended.
        """
        try:
            below = set(self._root.children(recursive=True))
            first = self._root.memory_info().rss
        except psutil.Error as error:
            raise ProcessLookupError(str(error)) from error
        below = {process for process in below if process.pid not in self._hidden}
        self.seen += len(below - self._below)
        # what has lost its parent is not among them any more
        alive = {p for p in self._below | below if p.is_running()}
        self._below = {process for process in alive if process.pid not in self._hidden}
        most, below_least, below_most = first, 0, 0
        for process in self._below:
            resident = _resident(process)
            most += resident
            below_most += resident
            below_least += _private(process) if exact else 0
        # all that is resident in the first process is in the tree, shared or not
        least = max(below_least + (_private(self._root) if exact else 0), first)
        return TreeSample(least, max(least, most), below_least, below_most, exact=exact)

    def faults(self) -> None:
        """Return nothing: psutil does not know page faults."""

    def waited_faults(self) -> int:
        """Return 0: psutil does not know the page faults of processes that have ended."""
        return 0

    def marks(self) -> dict[int, int]:
        """Return nothing: psutil does not know high-water marks of other processes."""
        return {}

    @staticmethod
    def spikes(processes: Iterable[object], before: Mapping[int, int]) -> int:  # noqa: ARG004
        """Return 0: psutil does not know what ended between two samples."""
        return 0

    @property
    def forgets_children(self) -> bool:
        """Whether what has ended may leave no trace: not as far as is known."""
        return False

    def close(self) -> None:
        """Forget the processes."""
        self._below = set()


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _private(process: psutil.Process) -> int:
    """What a process has for itself; 0 where that cannot be read."""
    try:
        return int(process.memory_full_info().uss)
    except (psutil.Error, AttributeError):
        return 0
