"""What is known of the test that runs: one object, written by all that measures and reused."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from pytest_memguard.allocator.freed import NO_GENERATION
from pytest_memguard.measure.region import empty_region
from pytest_memguard.model.measurements import PhaseName

if TYPE_CHECKING:
    from pytest_memguard.measure.hard_stops import Stopped
    from pytest_memguard.measure.requirements import Requirements
    from pytest_memguard.model.leaks import LeakReading
    from pytest_memguard.model.measurements import Finding, Peak


class PhaseState:
    """What is known of one phase, in bytes and seconds.

    It has all its places from the start: one that is added while slack is filled may open an
    arena, which is then kept alive.

    Args:
        name: of the phase.

    Attributes:
        region: levels, peaks and seconds; what collections freed in the phase.
        slack: bytes of it at the start, at most.
        foreign: bytes of slack that other allocators had then, at most, where they count.
        dropped: older memory that went away without a collection, at least.
        filled_before: by how much filling slack has raised the level before the phase.
        filled: by how much a filler that went at the end had made the process larger.
        begun: whether it is being, or has been, measured.
        ended: whether it has ended.
        peaks: by metric, once the phase has been judged in detail.
    """

    __slots__ = (
        "begun",
        "dropped",
        "ended",
        "filled",
        "filled_before",
        "foreign",
        "name",
        "peaks",
        "region",
        "slack",
    )

    def __init__(self, name: PhaseName) -> None:
        self.name: PhaseName = name
        self.region = empty_region()
        self.slack = self.foreign = self.dropped = self.filled_before = self.filled = 0
        self.begun = self.ended = False
        self.peaks: dict[str, Peak] = {}

    @property
    def base(self) -> int:
        """Resident bytes where the peak was reset."""
        return self.region.levels[0]

    @property
    def hidden(self) -> int:
        """Bytes of the peak that may hide in older memory beside the slack, at most.

        It went away meanwhile, or is held by other allocators.
        """
        return self.region.hidden() + self.dropped + self.foreign

    def begin(self, base: int) -> None:
        """Begin at a level, in bytes; nothing is known of the phase yet."""
        region = self.region  # as in `begin_again`, without a call: each test has three phases
        region.levels[0] = region.highs[0] = region.top = region.resident = base
        region.least_freed = region.most_freed = 0
        region.reached = NO_GENERATION
        region.is_blind = False
        self.slack = self.foreign = self.dropped = self.filled_before = self.filled = 0
        self.begun, self.ended = True, False

    def forget(self) -> None:
        """Know nothing of the phase."""
        self.slack = self.foreign = self.dropped = self.filled_before = self.filled = 0
        self.begun = self.ended = False
        self.peaks = {}


class CurrentTest:
    """What is known of the test that runs.

    There is one in a process that runs tests. The fast path, the high-water mark and
    further instruments write what they measure there; each goes on from where another one was.

    Attributes:
        item: the test, while it is known.
        requirements: what it is measured for; ``None`` while it is not measured.
        is_fast: whether the hooks of the fast path measure it.
        setup: its first phase.
        call: its second phase.
        teardown: its third phase; begun only where more than its end is of interest.
        phases: all three.
        by_name: the same by their names.
        plan: what the checks have planned for it.
        open: the phase that lasts, where that is known.
        detail: the `DetailedMeasurement`, where more than the high-water mark is needed.
        after: resident bytes after the test, once they are known.
        filled: by how much slack that is still filled has made the process larger.
        overhead: seconds that measuring took.
        setup_exceeds_limit: whether setup rose above a limit that covers the call alone.
        findings: what the checks have found so far.
        notes: what else there is to say about the test.
        leak: the reading of its leak check, if there was one.
        imports: modules that its call has loaded.
        modules: how many there were before its setup.
        markers: its own when its call began.
        stopped: where a hard budget stopped it, if one did.
    """

    __slots__ = (
        "_is_clean",
        "after",
        "by_name",
        "call",
        "detail",
        "filled",
        "findings",
        "imports",
        "is_fast",
        "item",
        "leak",
        "markers",
        "modules",
        "notes",
        "open",
        "overhead",
        "phases",
        "plan",
        "requirements",
        "setup",
        "setup_exceeds_limit",
        "stopped",
        "teardown",
    )

    def __init__(self) -> None:
        self.setup, self.call = PhaseState("setup"), PhaseState("call")
        self.teardown = PhaseState("teardown")
        self.phases = (self.setup, self.call, self.teardown)
        self.by_name = {phase.name: phase for phase in self.phases}
        self.item: Any = None
        self.plan: Any = None
        self.requirements: Requirements | None = None
        self.open: PhaseName | None = None
        self.detail: Any = None
        self.leak: LeakReading | None = None
        self.imports = self.modules = 0
        self.markers: Collection[Any] = ()
        self.findings: list[Finding] = []
        self.notes: list[str] = []
        self.stopped: Stopped | None = None
        self._is_clean = False
        self.forget()

    @property
    def nodeid(self) -> str:
        """The test's; empty while it is not known."""
        return getattr(self.item, "nodeid", "")

    @property
    def is_measured(self) -> bool:
        """Whether it is measured by anything beside the fast path."""
        return self.requirements is not None and not self.is_fast

    def phase(self, name: PhaseName) -> PhaseState:
        """One of its phases."""
        return self.by_name[name]

    def begun(self) -> list[PhaseState]:
        """The phases that are being, or have been, measured, in order."""
        return [phase for phase in self.phases if phase.begun]

    def begin(self, item: Any, plan: Any, requirements: Requirements) -> None:
        """Begin with a test of which nothing is known.

        Args:
            item: the test.
            plan: what the checks have planned for it.
            requirements: what it is measured for.
        """
        if not self._is_clean:
            self.forget()
        self._is_clean = False
        self.item, self.plan, self.requirements = item, plan, requirements

    def begin_fast(self, item: Any, plan: Any, requirements: Requirements) -> None:
        """Begin with a test that the fast path measures, after its setup; args as above."""
        if not self._is_clean:
            self.forget()
        self.item, self.plan, self.requirements = item, plan, requirements
        self.is_fast = True
        setup, call = self.setup, self.call
        setup.begun = setup.ended = True
        call.begun = call.ended = False

    def end_fast(self) -> None:
        """Be done with a test that the fast path has measured: numbers alone are left."""
        self.item = self.plan = self.requirements = None
        self.is_fast = False

    def leave_fast_path(self) -> None:
        """Go on with what measures more; all that is known stays."""
        self.is_fast = self._is_clean = False
        call = self.call
        lasts = call.begun and not call.ended
        self.open = "call" if lasts else None

    def forget(self) -> None:
        """Let go of the test, and of all that is known of it."""
        self.item = self.plan = self.requirements = None
        self.is_fast = False
        for phase in self.phases:
            phase.forget()
            if self.detail is not None:  # regions of several meters
                phase.region = empty_region()
        self.detail = None
        self.open = None
        self.after = self.filled = 0
        self.overhead = 0.0
        self.setup_exceeds_limit = False
        self.findings, self.notes = [], []
        self.stopped = None
        self._is_clean = True
