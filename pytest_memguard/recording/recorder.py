"""Opens and closes regions of time, each with a level and a peak of its own."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from pytest_memguard.clock import Clock

if TYPE_CHECKING:
    from pytest_memguard.probes import Meter


_SHARE_OF_TIME: Final = 10


class Region:
    """A stretch of time being measured; the recorder fills it in.

    ``levels`` and ``highs`` hold one number of bytes per meter, in the recorder's order.
    """

    __slots__ = ("after", "highs", "levels", "seconds", "started")

    def __init__(self) -> None:
        self.levels: list[int] = []
        self.highs: list[int] = []
        self.after: list[int] = []
        self.started = 0.0
        self.seconds = 0.0

    def rise(self, meter: int = 0) -> int:
        """Bytes the peak lies above the level at the start."""
        if meter >= len(self.levels):  # the meter came later
            return 0
        return self.highs[meter] - self.levels[meter]

    def growth(self, meter: int = 0) -> int:
        """Bytes the level moved from start to end."""
        return self.after[meter] - self.levels[meter]


class Recorder:
    """Keeps the peaks of nested and overlapping regions apart, though a meter has one mark.

    Whenever a region opens or closes, the mark so far is noted in every open region, then
    put back. Regions may be opened and closed from any thread.

    Args:
        meters: resident memory first.
        settle: gives free pages back before a look.
    """

    def __init__(self, meters: Sequence[Meter], settle: Callable[[], None]) -> None:
        self.meters = tuple(meters)
        self._settle = settle
        self._open: list[Region] = []
        self._lock = threading.RLock()
        self._now = Clock.seconds
        self._collect_due = 0.0

    def adopt(self, region: Region) -> None:
        """Take over a region that was opened by putting the first meter's mark back."""
        self._open.append(region)

    @property
    def busy(self) -> bool:
        """Whether any region is open."""
        return bool(self._open)

    def discount(self, size: int) -> None:
        """Leave out of every open region what an instrument has just taken.

        Args:
            size: bytes of the first meter.
        """
        with self._lock:
            for region in self._open:
                region.levels[0] += size
                region.highs[0] = max(region.highs[0], region.levels[0])

    def start(self) -> None:
        """Get the meters ready."""
        for meter in self.meters:
            meter.start()

    def stop(self) -> None:
        """Let the meters rest."""
        for meter in self.meters:
            meter.stop()

    def open(self, *, collect: bool = False, first: bool = True) -> Region:
        """Begin a region.

        Args:
            collect: collect garbage before the first look.
            first: do so however much time that has taken lately.
        """
        region = Region()
        with self._lock:
            if self._open:
                self._note()
            if collect:
                self._collect(first=first)
            self._settle()
            region.levels = [meter.restart() for meter in self.meters]
            region.highs = region.levels.copy()
            self._open.append(region)
        region.started = self._now()
        return region

    def close(self, region: Region, *, collect: bool = False, first: bool = True) -> None:
        """End a region.

        Args:
            region: what `open` returned.
            collect: collect garbage, and give pages back, before the last look.
            first: do so however much time that has taken lately.
        """
        region.seconds = self._now() - region.started
        with self._lock:
            region.after = self._note()
            self._open.remove(region)
            if collect:
                self._collect(first=first)
                self._settle()
                region.after = [meter.level() for meter in self.meters]

    def _collect(self, *, first: bool) -> None:
        """Collect garbage, in a tenth of the time at most; a region run often adds up."""
        start = self._now()
        if first or start >= self._collect_due:
            gc.collect()
            end = self._now()
            self._collect_due = end + (end - start) * _SHARE_OF_TIME

    def _note(self) -> list[int]:
        levels = []
        for index, meter in enumerate(self.meters):
            level, high = meter.read()
            levels.append(level)
            for region in self._open:
                region.highs[index] = max(region.highs[index], high)
        return levels
