"""What memray wrote of a phase, told apart by stages and threads."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_memguard.attribution.lines import CallSites
from pytest_memguard.attribution.replay import Codes, HeldByStack, Replay, held_between, replay
from pytest_memguard.errors import Unmeasurable
from pytest_memguard.probes.heap import BOUNDARY_SIZE, HeapFile
from pytest_memguard.probes.memray_module import import_memray
from pytest_memguard.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """What memray wrote, read from one end to the other."""

    file: HeapFile
    """The whole of it."""
    codes: Codes
    """What stands for what in it."""
    totals: Replay
    """What was alive when."""

    def held(self, first: int, last: int, *, own: bool = False) -> Sequence[HeldByStack]:
        """What was alive at the highest point between two marks, stack by stack.

        Args:
            first: the mark at its beginning.
            last: the mark at its end.
            own: what the test's own thread allocated, alone.
        """
        return held_between(
            self.file.events(),
            self.codes,
            first=first,
            last=last,
            high_event=self.totals.high_event(first, last, own=own),
            thread=self.totals.thread if own else None,
        )

    def sites(self, first: int, last: int, *, own: bool = False) -> CallSites:
        """The same by lines."""
        sites = CallSites()
        for held in self.held(first, last, own=own):
            sites.add(held.event, size=held.size, count=held.count, kept=held.kept)
        return sites


def read_stream(file: HeapFile) -> Stream:
    """Read what memray wrote from one end to the other.

    Raises:
        Unmeasurable: if the boundaries that were set are not in it.
    """
    codes = _codes()
    totals = replay(file.events(), codes)
    if totals.boundaries != file.boundaries:
        msg = (
            f"memray wrote {totals.boundaries} of {file.boundaries} boundaries between phases "
            "and stages"
        )
        raise Unmeasurable(msg)
    return Stream(file=file, codes=codes, totals=totals)


def _codes() -> Codes:
    """The numbers of the memray that is installed."""
    kinds = import_memray().AllocatorType
    releases = {kinds.FREE, kinds.PYMALLOC_FREE, kinds.MUNMAP}
    return Codes(
        boundary=BOUNDARY_SIZE,
        mmap=int(kinds.MMAP),
        munmap=int(kinds.MUNMAP),
        releases=frozenset(map(int, releases)),
    )
