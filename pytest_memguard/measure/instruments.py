"""The instruments of one process, made once and shared by all tests."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from math import inf
from typing import TYPE_CHECKING, Final

from pytest_memguard.allocator.free_chunks import free_chunks
from pytest_memguard.allocator.mmap_threshold import give_back_large_blocks
from pytest_memguard.allocator.slack_estimator import SlackEstimator
from pytest_memguard.allocator.trim import Trimmer, Untrimmed
from pytest_memguard.clock import Clock
from pytest_memguard.errors import Unmeasurable
from pytest_memguard.measure.gaps import NO_MARK, NO_RESETS, NO_RESIDENT
from pytest_memguard.measure.marked_phase import MarkedPhaseWatch
from pytest_memguard.measure.screen import Screen
from pytest_memguard.measure.tracker_share import TrackerShare
from pytest_memguard.model.metrics import PYTHON, TREE
from pytest_memguard.model.results import Gap
from pytest_memguard.probes import Meter
from pytest_memguard.probes.heap import TrackerFolder
from pytest_memguard.probes.in_use import InUseProbe
from pytest_memguard.probes.memray_module import import_memray, missing_files
from pytest_memguard.probes.peak_rss import PeakRss

if TYPE_CHECKING:  # only phases with limits reserve free chunks
    from pytest_memguard.allocator.foreign_slack import ForeignSlack
    from pytest_memguard.allocator.other_allocators import OtherAllocators

_SHARE_OF_TIME: Final = 200
_SHARE_IF_OFTEN: Final = 5
_SHARE_OF_CHUNKS: Final = 20
_CHEAP_SECONDS: Final = 200e-6
"""Seconds of reserving free chunks up to which it is worth while before every call."""
_NOT_PINNED: Final = Gap(
    subject="large blocks alike in every run",
    reason="that takes glibc 2.33 or later; what earlier tests freed may move a peak",
)
_URGENT_FACTOR: Final = 5
"""From so many times the tolerance on, garbage is collected however long that takes."""
_MOST_URGENT_FACTOR: Final = 20
"""The same where the last collections have found none: as much as the whole budget."""


class Instruments:
    """What this process can measure with, and the gaps: what it cannot measure, and why.

    Args:
        probes: makes a probe for each further metric, by its name.
        gaps: takes what cannot be measured.
        pins_allocator: whether peaks will be stored or compared, so that the mmap threshold is
            pinned.
        tracker_share: decides whether memray may run in tests that did not ask for it; without
            one it always may.
        screen: decides whether slack may stay unfilled; without one it never may.

    Attributes:
        probes: makes a probe for each metric that needs no tracker, by its name.
        mark: the high-water mark; ``None`` if it cannot be used.
        resident: measures peak RSS: by the mark, by sampling, or only its bounds.
        settle: trims the C heap, unless that is expensive and matters less than so many bytes.
        slack_estimator: bounds the slack; ``None`` if the allocators have no statistics.
        others: allocators that extensions bring along; ``None`` if their slack is not bounded.
        collection_watch: measures what garbage collections free during a phase.
        folder: makes memray's files.
        tracker_share: decides whether memray may run in tests that did not ask for it.
        screen: decides whether slack may stay unfilled.
        no_heap: why memray cannot be used; empty if it can.
        gaps: everything that cannot be measured.
        base: where the mark was reset to after the last test; 0 if unknown.
        clean_level: resident bytes without garbage; what is above may be garbage.
        collected: when garbage was collected, by the processor time of this thread, which
            starts anew in a forked child.
        collection_due: when it is collected if there may be too much of it.
        urgent_factor: how many times too much it may be before it is collected at once.
    """

    def __init__(
        self,
        probes: Mapping[str, Callable[[], Meter]] | None = None,
        gaps: list[Gap] | None = None,
        *,
        pins_allocator: bool = False,
        tracker_share: TrackerShare | None = None,
        screen: Screen | None = None,
    ) -> None:
        self.gaps: list[Gap] = [] if gaps is None else gaps
        self.probes: Mapping[str, Callable[[], Meter]] = {
            PYTHON.name: _python_heap,
            TREE.name: self._tree,
            **(probes or {}),
        }
        give_back_large_blocks()
        self.mark: PeakRss | None = None
        self.resident = self._resident()
        self.others: OtherAllocators | None = None
        self._small_bytes: Callable[[], int | None] | None = None
        self._trim = self._trimmer()
        self.settle: Trimmer | Untrimmed = self._trim or Untrimmed()
        self.slack_estimator = self._slack_estimator()
        if not hasattr(gc, "callbacks"):
            reason = "this interpreter has no gc.callbacks; old garbage may hide a peak"
            self.gaps.append(Gap(subject="garbage collections during tests", reason=reason))
        self.collection_watch = MarkedPhaseWatch(
            self._in_use_probe(), self._trim_all, self.mark
        )
        self.folder = TrackerFolder()
        self.tracker_share = tracker_share or TrackerShare()
        self.screen = screen or Screen()
        self._no_heap: str | None = None
        if find_spec("memray") is None or missing_files():
            self.no_heap  # noqa: B018  notes the reason, and imports nothing
        self.clean_level = 0
        self.base = 0
        if pins_allocator:
            self._pin_mmap_threshold()
        self._free_chunks = free_chunks()
        self._chunks_due = 0.0
        self.collected = self.collection_due = self._often_due = 0.0
        self.urgent_factor = _URGENT_FACTOR

    @property
    def no_heap(self) -> str:
        """Why memray cannot be used; empty if it can. The first access imports memray."""
        if self._no_heap is None:
            try:
                import_memray()
            except Unmeasurable as error:
                self._no_heap = str(error)
                self.gaps.append(
                    Gap(subject="metric heap and allocation lines", reason=str(error))
                )
            else:
                self._no_heap = ""
        return self._no_heap

    def give_back(self, tolerance: int) -> int:
        """Have other allocators return free memory to the system, if that may matter.

        Args:
            tolerance: bytes that do not matter.

        Returns:
            Bytes by which the process has become smaller.
        """
        if self.others is None:
            return 0
        before = self.resident.level()
        if not self.others.give_back(before, tolerance):
            return 0
        after = self.resident.level()
        self.others.note(after)
        self.grown_by_us(after - before)
        return before - after

    def reserve_free_chunks(self, *, always: bool) -> None:
        """Keep large free chunks of the C heap out of use until `release_free_chunks`.

        Args:
            always: whether to do so even where it takes more than a twentieth of the time.
        """
        if not always and Clock.cpu() < self._chunks_due:
            return
        if self._free_chunks is not None:
            start = Clock.cpu()
            self._free_chunks.reserve()
            end = Clock.cpu()
            if end - start > _CHEAP_SECONDS:
                self._chunks_due = end + (end - start) * _SHARE_OF_CHUNKS

    def release_free_chunks(self) -> None:
        """Free what `reserve_free_chunks` has allocated."""
        if self._free_chunks is not None:
            self._free_chunks.release()

    def take_slack(self) -> None:
        """Take all slack of a process that measures one test and ends: nothing hides there."""
        from pytest_memguard.allocator.free_places import take_free_places

        take_free_places()
        if self.slack_estimator is not None:
            self.slack_estimator.fill_all(self.resident.level())

    def collect_if_grown(self, level: int, tolerance: int, *, often: bool = False) -> bool:
        """Collect garbage if there may be enough of it to matter.

        Garbage is part of the level at the start of a test. If it is collected during the test,
        it becomes slack that the test's peak does not show. Collecting takes milliseconds, so
        at most half a percent of the time is spent on it, unless there may be five times as
        much garbage as is tolerable. A process that grows, by imports for one, has none: each
        collection that finds little doubles that.

        Args:
            level: resident bytes now.
            tolerance: bytes that do not matter.
            often: whether forty times as much time may be spent.

        Returns:
            Whether garbage was collected, which changes the level.
        """
        grown = level - self.clean_level
        if grown <= tolerance:
            self.clean_level = min(self.clean_level, level)
            return False
        due = self._often_due if often else self.collection_due
        factor = _URGENT_FACTOR if often else self.urgent_factor
        if self.collected <= Clock.cpu() < due and grown <= tolerance * factor:
            return False
        start = Clock.cpu()
        gc.collect()
        end = self.collected = Clock.cpu()
        cost = end - start
        self.collection_due = end + cost * _SHARE_OF_TIME
        self._often_due = end + cost * _SHARE_IF_OFTEN
        self.settle(tolerance)
        self.clean_level = self.resident.level()
        found_some = level - self.clean_level > tolerance
        factor = _URGENT_FACTOR if found_some else 2 * self.urgent_factor
        self.urgent_factor = min(factor, _MOST_URGENT_FACTOR)
        return True

    def grown_by_us(self, size: int) -> None:
        """Note bytes by which measuring has made the process larger: they are no garbage."""
        self.clean_level += size

    def _tree(self) -> Meter:
        from pytest_memguard.probes.tree import TreeProbe, sampling_in_words

        subject, reason = sampling_in_words()
        gap = Gap(subject=subject, reason=reason)
        if gap not in self.gaps:
            self.gaps.append(gap)
        return TreeProbe()

    def close(self) -> None:
        """Remove files, drop fillers, and release the high-water mark."""
        self.collection_watch.end()
        self.folder.close()
        if self.slack_estimator is not None:
            self.slack_estimator.release()
            self.slack_estimator.filler.drop()
        if self.mark is not None:
            self.mark.close()

    def _resident(self) -> Meter:
        try:
            self.mark = PeakRss()
        except Unmeasurable as error:
            from pytest_memguard.measure.without_mark import meter_without_mark

            meter, instead = meter_without_mark()
            gap = Gap(subject=NO_MARK, reason=f"{error}; {instead}")
            self.gaps.append(Gap(subject=NO_RESIDENT, reason=instead) if meter.lost else gap)
            return meter
        if self.mark.unwatched:
            reason = f"there is no inotify ({self.mark.unwatched}); they go unnoticed"
            self.gaps.append(Gap(subject=NO_RESETS, reason=reason))
        return self.mark

    def _trimmer(self) -> Trimmer | None:
        try:
            return Trimmer(self.resident.level)
        except Unmeasurable as error:
            self.gaps.append(
                Gap(
                    subject="free pages of the C heap",
                    reason=f"{error}; memory that earlier tests freed may hide a peak",
                )
            )
            return None

    def _slack_estimator(self) -> SlackEstimator | None:
        if self.resident.lost:
            return None  # it follows the level, which is one of the gaps
        try:
            from pytest_memguard.probes.slack import Slack, SlackProbe

            probe = SlackProbe()
            hooked = probe.read().hooked
        except (Unmeasurable, ImportError) as error:
            self.gaps.append(
                Gap(
                    subject="slack inside the process",
                    reason=f"{error}; memory that earlier tests freed may hide a peak",
                )
            )
            return None

        if hooked:
            reason = (
                "pymalloc tells nothing while tracemalloc or another tool hooks it; what was "
                "free before the first test may hide a peak"
            )
            self.gaps.append(Gap(subject="slack inside the process", reason=reason))

        def read() -> Slack:
            self._trim_all()  # the probe relies on a trimmed heap
            return probe.read()

        self._small_bytes = probe.read_used
        estimator = SlackEstimator(read, self.resident.level, others=self._foreign_slack())
        # measured now, since the first test that needs it may hook pymalloc itself
        estimator.bound(self.resident.level(), 0, inf, fill=False)
        return estimator

    def _foreign_slack(self) -> ForeignSlack | None:
        """What bounds the slack of other allocators; ``None``, and a gap, without it."""
        from pytest_memguard.allocator.foreign_slack import ForeignSlack
        from pytest_memguard.allocator.other_allocators import OtherAllocators
        from pytest_memguard.probes.anonymous import anonymous_reader, anonymous_within

        try:
            anonymous = anonymous_reader()
        except (OSError, ValueError) as error:
            subject = "slack of allocators that extensions bring along"
            self.gaps.append(Gap(subject=subject, reason=f"{error}; it may hide a peak"))
            return None
        self.others = OtherAllocators()
        return ForeignSlack(anonymous, anonymous_within, self.others.in_use)

    def _trim_all(self) -> None:
        """Trim the C heap, however long that takes."""
        if self._trim is not None:
            self._trim(-1)

    def _pin_mmap_threshold(self) -> None:
        """Pin the mmap threshold; note a gap if that is not possible."""
        from pytest_memguard.allocator.mmap_threshold import pin_mmap_threshold

        if not pin_mmap_threshold():
            self.gaps.append(_NOT_PINNED)

    def _in_use_probe(self) -> InUseProbe:
        return InUseProbe(self.resident.level, self._small_bytes)


def _python_heap() -> Meter:
    from pytest_memguard.probes.python_heap import PythonHeap  # few suites ask for it

    return PythonHeap()
