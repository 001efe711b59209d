"""Measures regions of time, each with a level and a peak of its own."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Container, Sequence
from typing import TYPE_CHECKING, Final

from pytest_memguard.allocator.freed import OLDEST
from pytest_memguard.clock import Clock
from pytest_memguard.measure.region import Region

if TYPE_CHECKING:
    from pytest_memguard.allocator.collection_watch import CollectionWatch
    from pytest_memguard.allocator.freed import Collection
    from pytest_memguard.probes import Meter

_SHARE_OF_TIME: Final = 10


class Recorder:
    """Separates the peaks of nested and overlapping regions, although a meter has one peak.

    Whenever a region opens or closes, the peak so far is noted in every open region, and then
    reset. Regions may be opened and closed by any thread.

    Args:
        meters: the meters, resident memory first.
        settle: trims the C heap before a reading.
        watch: measures what garbage collections free, if the regions need that.
    """

    def __init__(
        self,
        meters: Sequence[Meter],
        settle: Callable[[], None],
        watch: CollectionWatch | None = None,
    ) -> None:
        self.meters = tuple(meters)
        self._settle = settle
        self._watch = watch
        self._open: list[Region] = []
        self._lock = threading.RLock()
        self._now = Clock.seconds
        self._collect_due = 0.0

    def adopt(self, region: Region) -> None:
        """Add a region that was opened by resetting the first meter."""
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

    def start(self, names: Container[str] | None = None) -> None:
        """Start the meters.

        Args:
            names: names of the metrics that are needed beside the first; ``None`` for all.
        """
        for number, meter in enumerate(self.meters):
            if not number or names is None or meter.metric.name in names:
                meter.start()

    def stop(self) -> None:
        """Stop the meters."""
        for meter in self.meters:
            meter.stop()

    def open(self, *, collect: bool = False, first: bool = True) -> Region:
        """Begin a region.

        Args:
            collect: whether to collect garbage before the first reading.
            first: whether to do so however much time that has taken lately.
        """
        region = Region()
        with self._lock:
            if self._open:
                self._note()
            is_clean = collect and self._collect(first=first)
            self._settle()
            self._open.append(region)  # before its levels are read: a collection may come now
            region.begin([meter.restart() for meter in self.meters])
            if is_clean:
                region.reached = OLDEST
            elif self._watch is not None:
                self._watch.reached = region.reached
        region.started = self._now()
        return region

    def close(self, region: Region, *, collect: bool = False, first: bool = True) -> None:
        """End a region.

        Args:
            region: what `open` returned.
            collect: whether to collect garbage and trim before the last reading.
            first: whether to do so however much time that has taken lately.
        """
        region.seconds = self._now() - region.started
        with self._lock:
            region.after = self._note()
            region.missed = [
                meter.missed(level, high)
                for meter, level, high in zip(
                    self.meters, region.levels, region.highs, strict=False
                )
            ]
            self._open.remove(region)
            if collect:
                self._collect(first=first)
                self._settle()
                region.after = [meter.level() for meter in self.meters]

    def collected(self, collection: Collection) -> None:
        """Note in every open region what a garbage collection freed."""
        with self._lock:
            if not any(region.concerns(collection) for region in self._begun()):
                for region in self._begun():
                    region.reach(collection.generation)
                return
            self._note(slow_meters=False)
            level = self.meters[0].restart()
            for region in self._begun():
                region.collected(level, collection)

    def _collect(self, *, first: bool) -> bool:
        """Collect garbage, in at most a tenth of the time: a stage may run many times."""
        start = self._now()
        if not first and start < self._collect_due:
            return False
        gc.collect()
        end = self._now()
        self._collect_due = end + (end - start) * _SHARE_OF_TIME
        return True

    def _note(self, *, slow_meters: bool = True) -> list[int]:
        """Note the peaks so far, and return the levels.

        Args:
            slow_meters: whether to read those meters as well that take a millisecond or more.
        """
        levels = []
        for index, meter in enumerate(self.meters):
            if meter.metric.includes_resident and not slow_meters:
                continue
            level, high = meter.read()
            levels.append(level)
            for region in self._begun():
                region.note(index, high)
        return levels

    def _begun(self) -> list[Region]:
        return [region for region in self._open if region.levels]
