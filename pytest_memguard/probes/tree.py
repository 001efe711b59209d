"""The metric ``tree``: memory of this process and of all its descendants, sampled."""

from __future__ import annotations

import contextlib

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.model.measurements import Method
from pytest_memguard.model.metrics import TREE
from pytest_memguard.probes import Probe
from pytest_memguard.probes.ended_children import (
    EndedChildren,
    ended_children,
    most_touched,
    own_memory,
)
from pytest_memguard.probes.lifetime_peak import DRIFT
from pytest_memguard.probes.tree_client import INTERVAL_SECONDS, tree_client
from pytest_memguard.probes.tree_marks import Since


class TreeProbe(Probe):
    """Measures the highest memory of the process tree.

    As long as there were no descendants, the kernel's high-water mark of this process has the
    peak. Otherwise a process of its own samples them. What it has not seen is bounded by the
    descendants' own high-water marks, by the page faults of those that have ended, and the
    largest of these by what the kernel keeps of children that were waited for.
    """

    metric = TREE

    def __init__(self) -> None:
        self.lost = ""
        self.method: Method = "kernel mark"
        self._level = self._own = 0
        self._ceiling: int | None = 0
        self._mark = f"tree of {id(self)}"
        self._is_wanted = self._is_open = False
        self._started = (0, 0)
        self._ended = EndedChildren(0, 0, 0)

    def start(self) -> None:
        """Have the tree sampled."""
        self.method = "kernel mark"
        self._ceiling = 0
        self._is_wanted = True

    def restart(self) -> int:
        """Measure the peak from here on, and return the level in bytes."""
        if not self._is_wanted:  # a phase without a limit
            return self._level
        try:
            self._level = tree_client().mark(self._mark).level
            self._is_open = True
        except Unmeasurable as error:
            self._lose(error)
        self._ended, self._started, self._own = ended_children(), own_memory(), 0
        return self._level

    def level(self) -> int:
        """Return the level in bytes."""
        return self.read()[0]

    def read(self) -> tuple[int, int]:
        """Return the level, and the highest since `restart`, in bytes."""
        if not self._is_open:
            return self._level, self._level
        try:
            since = tree_client().read(self._mark)
        except Unmeasurable as error:
            self._lose(error)
            return self._level, self._level
        ended = ended_children()
        mark, _ = own_memory()
        before, level = self._started
        self._own = max(self._own, mark - level)
        high = max(self._level, since.least)
        none_seen = not since.seen and ended.faults == self._ended.faults
        if none_seen and (mark > before or before - level <= DRIFT):  # or it is an older mark
            high = max(high, self._level + self._own)
        if not none_seen or since.forgets:  # or one may have ended without a trace
            self.method = "sampled"
            new = ended.peak > max(self._ended.peak, level + self._own + DRIFT)
            if new and not since.at_start:  # or it has inherited an older peak of ours
                high = max(high, ended.peak)
        self._raise_ceiling(since, ended.peak, high)
        return since.level, high

    def missed(self, start: int, high: int) -> int | None:
        """Return by how many bytes the level may have exceeded ``high``; ``None``: any."""
        return None if self._ceiling is None else max(0, self._ceiling - high)

    def stop(self) -> None:
        """Have nothing sampled."""
        self._is_wanted = False
        if self._is_open:
            self._is_open = False
            try:
                tree_client().drop(self._mark)
            except Unmeasurable as error:
                self._lose(error)

    def _lose(self, error: Unmeasurable) -> None:
        self.lost, self.method, self._is_open = str(error), "sampled", False

    def _raise_ceiling(self, since: Since, largest: int, high: int) -> None:
        """Note how high the level may have been, for all that is known."""
        if self._ceiling is None:
            return
        own = self._level + self._own
        if self.method == "kernel mark":
            self._ceiling = max(self._ceiling, high, own)
        elif since.forgets:
            self._ceiling = None
        else:
            unseen = most_touched(since.unseen_faults)
            if unseen is None:
                unseen = largest  # one at a time
            below = since.below_most + since.spikes + unseen
            self._ceiling = max(self._ceiling, high, since.most, own + below)


def start_sampler() -> None:
    """Start the process that samples, so that no test has to; a probe says why it cannot."""
    with contextlib.suppress(Unmeasurable):
        tree_client()


def sampling_in_words() -> tuple[str, str]:
    """Return what is not measured of a tree, and why, for the report."""
    every = f"{INTERVAL_SECONDS * 1000:.0f} ms"
    return (
        f"children that within {every} end unwaited for, or lose their parent",
        f"the process tree is sampled every {every}; the kernel keeps no peak of it",
    )
