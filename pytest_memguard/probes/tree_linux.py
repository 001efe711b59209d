"""Reads what a process and all its descendants use together, on Linux."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from pytest_memguard.probes.newest_pid import NewestPid
from pytest_memguard.probes.tree_process import NOTHING, Shares, TreeProcess, parent_of

_ATTEMPTS: Final = 3
_PROC: Final = Path("/proc")


class TreeSample(NamedTuple):
    """What a tree used at one moment, in bytes; each number is the least, or the most."""

    least: int
    """All of it, at least; what several processes share counts once."""
    most: int
    """All of it, at most."""
    below_least: int = 0
    """The descendants without what they share with the first process, at least."""
    below_most: int = 0
    """The same, at most."""
    exact: bool = False
    """Whether it shows what is shared; if not, the upper numbers are far too high."""


class LinuxTree:
    """A process and its descendants.

    What was a descendant once stays one, also when its parent ends before it does.

    Args:
        root: number of the first process.
        hidden: processes that do not count, and whose descendants do not.

    Attributes:
        root: the first process.
        below: its descendants that live, or that nothing has waited for, by number.
        seen: how many descendants there have been.
        ended: descendants that have ended since the last sample.
        own_faults: page faults of processes that do not count and have ended.

    Raises:
        OSError: if the first process has ended.
    """

    def __init__(self, root: int, hidden: Iterable[int] = ()) -> None:
        self.root = TreeProcess(root, is_root=True)
        self.below: dict[int, TreeProcess] = {}
        self.seen = 0
        self.ended: list[TreeProcess] = []
        self.own_faults = 0
        self._hidden = {root, *hidden}
        self._others: set[int] = set()
        self._newest_pid = NewestPid()
        self._newest: bytes | None = None
        alone = _shares(self.root)
        self._shared_with_strangers = alone.shared if alone is not None else 0

    @property
    def living(self) -> list[TreeProcess]:
        """The descendants that live."""
        return [process for process in self.below.values() if not process.is_zombie]

    def hide(self, pids: Iterable[int]) -> None:
        """Leave processes out from now on, and what they start.

        Args:
            pids: their numbers.
        """
        new = set(pids) - self._hidden
        self._hidden |= new
        for pid in new & self.below.keys():
            self.below.pop(pid).close()

    def sample(self, *, exact: bool) -> TreeSample:
        """Read what the tree uses now.

        Args:
            exact: whether to read what is shared, which takes 0.1 ms for each process and 40
                ms for each GiB.

        Raises:
            OSError: if the first process has ended.
        """
        self.root.update_sizes()
        self._find_new()
        self.ended = self._update()
        rough = self._rough()
        return self._exact(rough) if exact else rough

    def faults(self) -> int:
        """Page faults so far of all processes that live; memory changes by these alone.

        Raises:
            OSError: if the first process has ended.
        """
        self.root.update_faults()
        return self.root.faults + sum(process.faults for process in self.living)

    def waited_faults(self) -> int:
        """Page faults of all processes that have ended, as far as the kernel adds them up.

        Raises:
            OSError: if the first process has ended.
        """
        self.root.update()
        below = sum(
            process.waited_faults + (process.faults if process.is_zombie else 0)
            for process in self.below.values()
        )
        return self.root.waited_faults + below - self.own_faults

    def marks(self) -> dict[int, int]:
        """Return the own high-water marks of the descendants that live, by their number."""
        return {process.pid: process.mark for process in self.living}

    @staticmethod
    def spikes(processes: Iterable[TreeProcess], before: Mapping[int, int]) -> int:
        """Return by how much descendants' own marks are above what was seen of them.

        Args:
            processes: some that live, or have just ended.
            before: their marks at some earlier time; one that has not risen since proves
                nothing.
        """
        return sum(p.spike() for p in processes if p.mark > before.get(p.pid, 0))

    @property
    def forgets_children(self) -> bool:
        """Whether what has ended may leave no trace: the kernel is asked to forget it."""
        self.root.update()
        return self.root.ignores_children

    def close(self) -> None:
        """Close all files."""
        for process in (self.root, *self.below.values()):
            process.close()
        self._newest_pid.close()

    # Which processes there are

    def _find_new(self) -> None:
        newest = self._newest_pid.read()
        if newest is not None and newest == self._newest:
            return
        self._newest = newest
        pids = {int(n) for n in os.listdir(_PROC) if n.isdigit()}  # noqa: PTH208  it is quicker
        self._others &= pids
        new = pids - self._others - self._hidden - self.below.keys()
        parents = {pid: parent_of(pid) for pid in sorted(new)}
        while found := [p for p, up in parents.items() if up in self.below or self._is(up)]:
            for pid in found:
                del parents[pid]
                self._add(pid)
        self._others |= {pid for pid, parent in parents.items() if parent}

    def _is(self, pid: int) -> bool:
        return pid == self.root.pid

    def _add(self, pid: int) -> None:
        try:
            self.below[pid] = TreeProcess(pid)
        except OSError:
            return
        self.seen += 1

    def _update(self) -> list[TreeProcess]:
        """Read all counters; return the processes that have ended since."""
        ended = []
        for process in list(self.below.values()):
            was_zombie = process.is_zombie
            try:
                process.update()
            except OSError:
                del self.below[process.pid]
                process.close()
            else:
                if not process.is_zombie:
                    continue
            if not was_zombie:
                if not (self._is(process.parent) or process.parent in self.below):
                    process.faults = 0  # what waits for it is none of the tree's
                ended.append(process)
        return ended

    # What they use

    def _rough(self) -> TreeSample:
        """What the counts of pages alone show: what may be shared counts for nothing."""
        living = self.living
        least = sum(process.alone for process in living)
        most = sum(process.resident for process in living)
        root = self.root
        return TreeSample(root.anonymous + least, root.resident + most, least, most)

    def _exact(self, rough: TreeSample) -> TreeSample:
        """Read what is shared twice, in opposite orders: what moves meanwhile counts once."""
        processes = [self.root, *self.living]
        one = self._stable(processes)
        other = one if len(processes) == 1 else self._stable(processes[::-1])
        least = max(rough.least, min(one.least, other.least))
        below = max(rough.below_least, min(one.below_least, other.below_least))
        return TreeSample(
            least,
            max(least, one.most, other.most),
            below,
            max(below, one.below_most, other.below_most),
            exact=one.exact and other.exact,
        )

    def _stable(self, processes: Sequence[TreeProcess]) -> TreeSample:
        """Read what is shared, again where processes end or begin to run programs meanwhile.

        A page that several have is divided by their number. If one of them ends in between,
        the number changes, and the sum may be too high by as much as is shared.
        """
        for _ in range(_ATTEMPTS):
            shares = [(process, _shares(process)) for process in processes]
            found = self._sum(shares)
            if all(process.is_same() for process in processes):
                return found
        # what one process has for itself, no other has: that is never too high
        private = sum(share.private for _, share in shares if share is not None)
        return TreeSample(private, found.most, 0, found.below_most)

    def _sum(self, shares: Sequence[tuple[TreeProcess, Shares | None]]) -> TreeSample:
        copied = self._in_descendants(shares)
        all_known = all(share is not None for _, share in shares)
        least = most = below_least = below_most = private = 0
        for process, share in shares:
            if share is None:
                low, high = process.alone, process.resident
            elif all_known:
                low = high = share.proportional
            else:  # what an unknown process shares with it may be in that one's number
                low, high = share.private, share.proportional
            least += low
            most += high
            if process is not self.root:
                below_least += low
                below_most += high
                private += share.private if share is not None else low
        if all_known:
            below_least -= copied
            below_most -= copied
        # strangers have a part of each page that the first process was forked with, and so in
        # the sums above; but strangers have no part of what descendants have for themselves
        least = max(least, self.root.anonymous + private)
        below_least = max(private, below_least)
        return TreeSample(
            least, max(least, most), below_least, max(below_least, below_most), exact=True
        )

    def _in_descendants(self, shares: Sequence[tuple[TreeProcess, Shares | None]]) -> int:
        """Return how much of what the first process has is in the numbers of descendants."""
        root = next(share for process, share in shares if process is self.root)
        if root is None:
            return 0
        if len(shares) == 1:
            self._shared_with_strangers = root.shared
        return max(root.copied, root.shared - self._shared_with_strangers)


def _shares(process: TreeProcess) -> Shares | None:
    try:
        return process.shares()
    except OSError:
        return NOTHING
