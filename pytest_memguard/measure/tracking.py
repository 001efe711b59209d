"""memray around the phases of one test that need it, and around no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pytest_memguard.clock import Clock
from pytest_memguard.errors import Unmeasurable
from pytest_memguard.judge.slack_thresholds import SlackThresholds, budget_for_slack
from pytest_memguard.measure.tracker_share import TrackedTest
from pytest_memguard.model.measurements import PhaseName
from pytest_memguard.probes.heap import HeapFile, HeapTracker

if TYPE_CHECKING:
    from pytest_memguard.measure.instruments import Instruments
    from pytest_memguard.measure.requirements import Requirements
    from pytest_memguard.measure.stage_log import StageLog


class Tracking:
    """The one tracker there can be, while this test has it.

    Args:
        requirements: what the test is measured for.
        instruments: the instruments of the process.
        in_use: says why memray must not be used unless asked for, if so.
        stages: where marks of stages in the stream go.
        nodeid: the node id of the test.

    Attributes:
        since: the phase it was started for; ``None`` if that was for lines of stages alone.
        for_slack: whether it was started only because much was free inside the process.
        problem: why it could not be used when it was needed; empty if it could.
        boundaries: first and last mark in the stream of each phase.
    """

    def __init__(
        self,
        requirements: Requirements,
        instruments: Instruments,
        in_use: Callable[[], str],
        stages: StageLog,
        nodeid: str = "",
    ) -> None:
        self._nodeid = nodeid
        self._started = 0.0
        self._slack = 0
        self.since: PhaseName | None = None
        self.for_slack = False
        self.problem = ""
        self.boundaries: dict[PhaseName, tuple[int, int]] = {}
        self._requirements = requirements
        self._instruments = instruments
        self._in_use = in_use
        self._stages = stages
        self._tracker: HeapTracker | None = None

    def wanted(self, phase: PhaseName, slack: int, thresholds: SlackThresholds | None) -> bool:
        """Whether it is to be started.

        Args:
            phase: what is about to begin.
            slack: bytes of it, at most.
            thresholds: of slack, in this phase.
        """
        if self._tracker is not None:
            return False
        # to name lines in any phase: a stage in a fixture may have been too large
        if self._requirements.track or phase in self._requirements.traced:
            return True
        self._slack = slack
        if thresholds is None or slack <= thresholds.use_tracker:
            return False
        return self._instruments.tracker_share.allows(
            self._nodeid, can_be_measured_again=self._requirements.can_be_measured_again
        )

    @property
    def counts(self) -> bool:
        """Whether it is running and says how much memory is used, not only where."""
        return self._tracker is not None and self.since is not None

    def start(self, phase: PhaseName) -> None:
        """Start it, or note why it cannot be."""
        requirements = self._requirements
        asked = phase in requirements.traced
        self.problem = self._instruments.no_heap or self._in_use()
        if self.problem:
            return
        try:
            give_way = None if asked else self.give_way
            self._tracker = HeapTracker(self._instruments.folder, give_way)
        except (Unmeasurable, OSError) as error:
            self.problem = str(error)
            return
        self.since, self._started = phase, Clock.seconds()
        for_lines = requirements.drill or requirements.track
        self.for_slack = not (for_lines or asked)
        # a budget on the heap is exact to the byte, and marks in the stream take some
        if for_lines or self.for_slack or requirements.traced_in_parts:
            self._stages.tracker = self._tracker

    def start_for_lines(self) -> str:
        """Track from the first stage on; only its lines are read from it.

        Returns:
            Why that cannot be, if so.
        """
        if self._tracker is None:
            self.start("call")
            self.since = None
        self._stages.tracker = self._tracker
        return self.problem

    def mark_begin(self, phase: PhaseName) -> None:
        """Note where in the stream a phase begins."""
        if self._stages.tracker is not None:
            self.boundaries[phase] = (self._stages.tracker.mark(), -1)

    def mark_end(self, phase: PhaseName) -> None:
        """Note where it ends."""
        if self._stages.tracker is not None and phase in self.boundaries:
            self.boundaries[phase] = (self.boundaries[phase][0], self._stages.tracker.mark())

    def stop(self, phase: PhaseName) -> HeapFile | None:
        """Stop it at the end of a phase, and return what it wrote."""
        whole = self._requirements.traced_whole
        if self._tracker is None or (whole and phase != "teardown"):
            return None
        tracker, self._tracker = self._tracker, None
        self._stages.tracker = None
        return tracker.stop()

    def note_time(self) -> None:
        """Note how long it ran, once its file has been read, unless the test asked for it."""
        if not self.for_slack or not self._started:
            return
        took, self._started = Clock.seconds() - self._started, 0.0
        self._instruments.tracker_share.note(
            TrackedTest(
                nodeid=self._nodeid,
                seconds=took,
                slack=self._slack,
                avoided_by=budget_for_slack(self._slack),
            )
        )

    def abandon(self) -> None:
        """Stop it in the middle of a phase; what it wrote is gone."""
        if self._tracker is not None:
            self._tracker.stop().close()
            self._tracker = None

    def give_way(self) -> None:
        """Give the one tracker there can be to the test, unless a budget needs it.

        Raises:
            Unmeasurable: if a budget needs it.
        """
        if self._tracker is None:
            return
        if self._requirements.traced:
            msg = "measure('heap') cannot be used in a test with a heap budget: memray is busy"
            raise Unmeasurable(msg)
        self.abandon()
        self._stages.tracker = None
        self.problem = "the test used memray itself"
