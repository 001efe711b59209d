"""The frozen values of results: of one test, and of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pytest_memguard.model.measurements import (
    Budget,
    Finding,
    Peak,
    PhaseName,
    PhaseReading,
    StageReading,
)
from pytest_memguard.model.metrics import RSS
from pytest_memguard.values import dataclass

if TYPE_CHECKING:  # a run without a baseline, or without a leak check, loads neither
    from collections.abc import Iterator

    from pytest_memguard.model.aborts import Abort
    from pytest_memguard.model.admission import ParallelRun
    from pytest_memguard.model.alerts import Alert
    from pytest_memguard.model.baselines import Fill
    from pytest_memguard.model.deaths import Death
    from pytest_memguard.model.flights import LostWorker
    from pytest_memguard.model.leaks import LeakReading
    from pytest_memguard.model.watch_readings import WatchReading


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Everything known about one test; it travels between processes as JSON."""

    nodeid: str
    """pytest's name for the test."""
    file: str = ""
    """Source file of the test, relative to the root."""
    line: int = 0
    """Line of the test, from 1; 0 if it has none."""
    result: str = "passed"
    """passed, failed, skipped, xfailed, xpassed or error."""
    worker: str = ""
    """Name of the pytest-xdist worker; empty without one."""
    phases: tuple[PhaseReading, ...] = ()
    """The measured phases, in order."""
    stages: tuple[StageReading, ...] = ()
    """The stages, in the order in which they were first entered."""
    budgets: tuple[Budget, ...] = ()
    """Every limit on the test."""
    findings: tuple[Finding, ...] = ()
    """The findings about these limits."""
    notes: tuple[str, ...] = ()
    """Further sentences for the report."""
    overhead: float = 0.0
    """Seconds that measuring it took."""
    leak: LeakReading | None = None
    """The result of the leak check, if there was one."""
    leak_skipped: str = ""
    """Why the leak check left the test out; empty if it did not."""
    imports: int = 0
    """Number of modules that the call imported for the first time: its peak includes their
    memory."""
    cold: Peak | None = None
    """Peak of the first call in a fresh process, where it is higher than that of the second."""
    fills: tuple[Fill, ...] = ()
    """What that first call fills for good."""
    death: Death | None = None
    """How its process died, if it was isolated and that has happened."""
    watched: tuple[WatchReading, ...] = ()
    """What it has recorded of other programs."""

    def phase(self, name: PhaseName) -> PhaseReading | None:
        """Return one phase; ``None`` if the test did not reach it."""
        for phase in self.phases:
            if phase.name == name:
                return phase
        return None

    @property
    def peak(self) -> Peak | None:
        """The peak of the call; without a call, the highest of the other phases."""
        call = self.phase("call")
        if call is not None:
            return call.peak()
        peaks = [peak for phase in self.phases if (peak := phase.peak())]
        return max(peaks, key=lambda peak: peak.value, default=None)

    @property
    def growth(self) -> int:
        """Resident bytes that the test left behind."""
        return sum(phase.growth for phase in self.phases)

    @property
    def tightest(self) -> Budget | None:
        """The budget on resident memory of the call, or else the first budget."""
        default = (b for b in self.budgets if b.key == (RSS.name, "call", None))
        return next(default, self.budgets[0] if self.budgets else None)


class Outcomes(Protocol):
    """Results of tests that can be read several times: a tuple, or made as they are read."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Outcome]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Something that cannot be measured here."""

    subject: str
    """What is missing, or measured by other means."""
    reason: str
    """Why, and what happens instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The environment of a run."""

    python: str
    """Version of the interpreter."""
    implementation: str
    """CPython, PyPy."""
    platform: str
    """Operating system and architecture."""
    pytest: str
    """Version of pytest."""
    memguard: str
    """Version of this package."""
    allocator: str
    """pymalloc, malloc or mimalloc."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums over the tests of one process, or of all processes."""

    worker: str
    """Name of the pytest-xdist worker; empty for the whole run."""
    tests: int
    """Number of measured tests."""
    start: int
    """Resident bytes before the first test; for the whole run, the sum over processes."""
    end: int
    """Resident bytes after the last test; for the whole run, the sum over processes."""
    highest: int
    """Highest resident bytes during any test, the process itself included; for
    the whole run the sum over processes, which may not have reached it at the same time."""
    overhead: float
    """Seconds that measuring took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a suite, as reports and files show it."""

    environment: Environment
    """The environment."""
    settings: tuple[tuple[str, str], ...]
    """Name and value of each setting that the user made, with its source."""
    gaps: tuple[Gap, ...]
    """What could not be measured."""
    outcomes: Outcomes
    """The results of all measured tests; sorted by node id in a run that has just ended."""
    totals: tuple[Totals, ...]
    """One for each process, then the whole run's."""
    leak_strict: bool = False
    """Whether tests fail whose leak check ends as undecided."""
    lost: tuple[LostWorker, ...] = ()
    """Workers of pytest-xdist that did not end by themselves."""
    abort: Abort | None = None
    """Why the run was stopped, if it used too much memory."""
    alerts: tuple[Alert, ...] = ()
    """Levels of memory that processes have reached, in the order of their reports."""
    parallel: ParallelRun | None = None
    """How tests shared the memory (``--mem-parallel``), if they did."""
