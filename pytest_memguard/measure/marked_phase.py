"""Measures a phase by the high-water mark alone, even if a collection frees memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pytest_memguard.allocator.collection_watch import CollectionWatch
from pytest_memguard.measure.region import Region, empty_region

if TYPE_CHECKING:
    from pytest_memguard.allocator.collection_watch import Listener
    from pytest_memguard.allocator.freed import Collection
    from pytest_memguard.probes.in_use import InUseProbe
    from pytest_memguard.probes.peak_rss import PeakRss


class MarkedPhase:
    """A phase that is measured by the high-water mark and nothing else.

    Args:
        mark: the high-water mark.

    Attributes:
        region: what is known of the phase.
    """

    def __init__(self, mark: PeakRss) -> None:
        self.region = empty_region()
        self._mark = mark

    def collected(self, collection: Collection) -> None:
        """Note the peak so far, and reset the mark: later peaks count from there."""
        mark = self._mark
        if not self.region.concerns(collection):
            self.region.reach(collection.generation)
            return
        self.region.note(0, mark.mark())
        self.region.collected(mark.reset(), collection)
        mark.undisturbed = False  # readings before and after this do not compare


class MarkedPhaseWatch(CollectionWatch):
    """Watches collections during a phase that the mark or a recorder measures.

    Args:
        probe: reads what the process has in use.
        trim: trims the C heap, so that resident memory shows what was freed.
        mark: the high-water mark; ``None`` if a recorder measures every phase.
    """

    def __init__(
        self, probe: InUseProbe, trim: Callable[[], object], mark: PeakRss | None
    ) -> None:
        super().__init__(probe, trim)
        self._phase = MarkedPhase(mark) if mark is not None else None

    def begin(self, region: Region) -> None:
        """Watch a phase that is measured by the kernel's mark alone.

        Args:
            region: takes what is known of the phase; it has begun.
        """
        phase = self._phase
        if phase is not None:
            phase.region = region
            self.listen(phase)

    def pass_on(self, listener: Listener) -> None:
        """Let another listener go on in the middle of a phase, if it was watched until now."""
        if self._phase is None or self._listener is not self._phase:
            self.listen(listener)
        else:
            self._listener = listener

    def end_marked(self, region: Region, mark: int) -> None:
        """Watch no longer, and note the peak of a phase measured by the mark.

        Args:
            region: what is known of the phase.
            mark: the highest resident bytes since the mark was reset.
        """
        region.note(0, mark)
        if not self.end():
            region.lose_sight()
