"""What a sampled tree has used since a moment: the highest, and what no sample has seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from pytest_memguard.probes.tree_linux import TreeSample


class Tree(Protocol):
    """A process and its descendants, as a sampler reads them."""

    seen: int
    """How many descendants there have been."""
    own_faults: int
    """Page faults of processes that do not count and have ended."""

    @property
    def ended(self) -> Sequence[Any]:
        """Descendants that have ended since the last sample."""

    @property
    def living(self) -> Sequence[Any]:
        """The descendants that live."""

    @property
    def forgets_children(self) -> bool:
        """Whether descendants may have ended and left no trace."""

    def hide(self, pids: Iterable[int]) -> None:
        """Leave processes out from now on, and what they start."""

    def sample(self, *, exact: bool) -> TreeSample:
        """Read what the tree uses now."""

    def faults(self) -> int | None:
        """Page faults of all processes that live; ``None`` if they are not known."""

    def waited_faults(self) -> int:
        """Page faults of all processes that have ended."""

    def marks(self) -> Mapping[int, int]:
        """The own high-water marks of the descendants that live."""

    def spikes(self, processes: Sequence[Any], before: Mapping[int, int]) -> int:
        """By how much those of some descendants are above what was seen of them."""

    def close(self) -> None:
        """Release what it has open."""


class Since(NamedTuple):
    """What a tree has used since a moment, in bytes and seconds; it travels as JSON."""

    level: int
    """What all of it uses now, at most."""
    least: int
    """What it used at the highest, at least."""
    most: int
    """What samples allow it to have used at the highest, at most."""
    below: int
    """By how much its descendants rose above what they used at that moment, at least."""
    below_most: int
    """The same, at most."""
    at_start: int
    """How many descendants lived at that moment."""
    living: int
    """How many live now."""
    seen: int
    """How many samples have seen since, those included."""
    unseen_faults: int
    """Page faults of processes that have ended since, which no sample has seen."""
    spikes: int
    """By how much descendants' own marks are above what samples have seen of them."""
    forgets: bool
    """Whether descendants may have ended and left no trace."""
    gap: float
    """The longest time between two samples."""
    interval: float
    """The time that there should be between them."""


class TreeMark:
    """Notes what samples show from a moment on.

    Args:
        tree: what is sampled.
        sample: its first sample.
        now: when that was taken.

    Attributes:
        high: the highest least that was seen.
    """

    def __init__(self, tree: Tree, sample: TreeSample, now: float) -> None:
        self._start = sample
        self._at_start = len(tree.living)
        self._seen_before = tree.seen
        self._marks = tree.marks()
        self._faults = -tree.waited_faults()
        self._spikes = 0
        self._latest, self._gap = now, 0.0
        self.high = sample.most
        self._most = sample.most
        self._below, self._below_most = sample.below_most, sample.below_most

    def note(self, tree: Tree, sample: TreeSample, now: float) -> None:
        """Note a sample.

        Args:
            tree: what is sampled.
            sample: what was read.
            now: when.
        """
        self._gap, self._latest = max(self._gap, now - self._latest), now
        self.high = max(self.high, sample.least)
        self._below = max(self._below, sample.below_least)
        if sample.exact:
            self._most = max(self._most, sample.most)
            self._below_most = max(self._below_most, sample.below_most)
        for process in tree.ended:
            self._faults -= process.faults
        self._spikes += tree.spikes(tree.ended, self._marks)

    def since(self, tree: Tree, sample: TreeSample, interval: float) -> Since:
        """Return what has been noted.

        Args:
            tree: what is sampled.
            sample: the last one, which was noted.
            interval: seconds that there should be between two samples.
        """
        return Since(
            level=sample.most,
            least=self.high,
            most=max(self._most, self.high),
            below=max(0, self._below - self._start.below_most),
            below_most=max(0, max(self._below, self._below_most) - self._start.below_least),
            at_start=self._at_start,
            living=len(tree.living),
            seen=self._at_start + tree.seen - self._seen_before,
            unseen_faults=max(0, self._faults + tree.waited_faults()),
            spikes=self._spikes + tree.spikes(tree.living, self._marks),
            forgets=tree.forgets_children,
            gap=self._gap,
            interval=interval,
        )
