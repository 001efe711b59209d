"""The frozen values that measuring hands to judging, and judging to telling."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Literal, Protocol

from pytest_memguard.metrics import RSS
from pytest_memguard.values import dataclass

if TYPE_CHECKING:  # a run without a baseline, or without a leak check, loads neither
    from collections.abc import Iterator

    from pytest_memguard.baselines import BaselineValue
    from pytest_memguard.leaks import LeakReading

PhaseName = Literal["setup", "call", "teardown"]
BudgetPhase = Literal["setup", "call", "teardown", "all"]
Threads = Literal["all", "current"]
Method = Literal["kernel mark", "sampled", "memray", "memray estimate", "tracemalloc", "probe"]
Bound = Literal["slack", "collected", "dropped", "unseen", "uncounted"]
"""What keeps an instrument from showing all of a peak: why its bound lies above its value."""
Rule = Literal[
    "over-budget",
    "near-budget",
    "undecided",
    "not-measured",
    "stage-not-run",
    "regression",
    "unsure",
    "new-test",
    "check-failed",
]

BREACHES: frozenset[Rule] = frozenset({"over-budget", "regression"})
"""Rules that say that a peak is above its limit."""
PHASES: tuple[PhaseName, ...] = ("setup", "call", "teardown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """A high-water mark above the level at the start of what was measured."""

    metric: str
    """What was counted, by the name of its metric."""
    value: int
    """Bytes."""
    high: int
    """Bytes the truth cannot exceed; the same as ``value`` where the number is exact."""
    method: Method
    """The instrument that gave the number."""
    bound: Bound = "slack"
    """What most of the difference between ``high`` and ``value`` comes from."""
    unseen: int | None = 0
    """Bytes the truth may lie above ``high``, where the instrument looks only now and then;
    ``None`` where nothing bounds it."""

    @property
    def exact(self) -> bool:
        """Whether the instrument left no room above its number."""
        return self.high <= self.value and self.unseen == 0

    @property
    def ceiling(self) -> float:
        """Bytes the truth cannot exceed, seen or not; infinite where nothing bounds it."""
        return inf if self.unseen is None else self.high + self.unseen


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A limit somebody set."""

    limit: int
    """Bytes."""
    where: str
    """Who set it, for the message: "the marker", "--mem-budget"."""
    metric: str = RSS.name
    """What is counted against it."""
    phase: BudgetPhase = "call"
    """The part of the test it covers."""
    stage: str | None = None
    """The stage it covers, instead of a whole phase."""
    warn: float | None = None
    """Share of the limit above which to warn."""
    threads: Threads = "all"
    """Whose allocations count (heap only)."""
    baseline_value: BaselineValue | None = None
    """What was on record, for a limit that the regression check has set."""

    @property
    def key(self) -> tuple[str, str, str | None]:
        """What the closest marker wins for; a stage is the same one in any phase."""
        return (self.metric, self.phase if self.stage is None else "", self.stage)

    @property
    def before(self) -> int | None:
        """Bytes on record, if the limit is the regression check's."""
        return None if self.baseline_value is None else self.baseline_value.before

    def covers(self, phase: PhaseName) -> bool:
        """Whether what happens in ``phase`` counts against it."""
        return self.stage is not None or self.phase in (phase, "all")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSite:
    """A source line and what it had allocated."""

    file: str
    """Path as the interpreter knows it."""
    line: int
    """Line number, from 1."""
    function: str
    """Function the line is in."""
    size: int
    """Bytes held at the high-water mark."""
    count: int
    """Blocks held at the high-water mark."""
    kept: int | None = None
    """Bytes of it still held at the end; ``None`` where nobody asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageReading:
    """A named part of a test; several runs of it are added up."""

    path: str
    """Its name, with its parents' names before it: "load/parse"."""
    count: int
    """How often it ran."""
    delta: int
    """Bytes of resident memory it added, summed over its runs."""
    cumul: int
    """Bytes added since the start of the phase, at the end of its last run."""
    seconds: float
    """Time in it, summed."""
    peaks: tuple[Peak, ...]
    """The highest of its runs, one per metric."""
    lines: tuple[CallSite, ...] = ()
    """The lines that grew most in it (``--mem-drill``)."""

    def peak(self, metric: str = RSS.name) -> Peak | None:
        """The peak in one metric, if it was measured."""
        return next((peak for peak in self.peaks if peak.metric == metric), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseReading:
    """What one phase of a test did to the process."""

    name: PhaseName
    """Setup, call or teardown."""
    seconds: float
    """How long it took."""
    level: int
    """Resident bytes when it started."""
    growth: int
    """Resident bytes when it ended, less ``level``."""
    peaks: tuple[Peak, ...]
    """One per metric that was measured; resident memory first."""

    def peak(self, metric: str = RSS.name) -> Peak | None:
        """The peak in one metric, if it was measured."""
        return next((peak for peak in self.peaks if peak.metric == metric), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A judge's answer about one budget; the one currency of failures and warnings."""

    rule: Rule
    """Slug of the rule that speaks."""
    budget: Budget
    """The limit it is about."""
    peak: Peak | None = None
    """What was measured, if anything was."""
    text: str = ""
    """The whole sentence, without the slug."""
    sites: tuple[CallSite, ...] = ()
    """The largest allocation sites, if they are known."""
    advice: str = ""
    """How the sites were found, or how to get them."""
    raised: bool = False
    """Whether the test failed with it."""
    check: str = ""
    """The check of another plugin that speaks; empty for our own."""

    @property
    def slug(self) -> str:
        """What stands behind its sentence: the rule, or the check of another plugin."""
        return self.check if self.rule == "check-failed" else self.rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """All we know about one test; the only thing that crosses processes."""

    nodeid: str
    """pytest's name for the test."""
    file: str = ""
    """Source file of the test, relative to the root."""
    line: int = 0
    """Line of the test, from 1; 0 where there is none."""
    result: str = "passed"
    """passed, failed, skipped, xfailed, xpassed or error."""
    worker: str = ""
    """xdist's name for the process; empty without xdist."""
    phases: tuple[PhaseReading, ...] = ()
    """What was measured, in order."""
    stages: tuple[StageReading, ...] = ()
    """Its stages, in the order they were first entered."""
    budgets: tuple[Budget, ...] = ()
    """Every limit that held."""
    findings: tuple[Finding, ...] = ()
    """What the judges said."""
    notes: tuple[str, ...] = ()
    """What else the report should say about it."""
    overhead: float = 0.0
    """Seconds spent on measuring it."""
    leak: LeakReading | None = None
    """What the leak check said, if there was one."""
    leak_skipped: str = ""
    """Why a test that the leak check was meant for was left out."""
    imports: int = 0
    """Modules that were loaded for the first time during the call: its peak has their part."""

    def phase(self, name: PhaseName) -> PhaseReading | None:
        """One phase, if the test got that far."""
        return next((phase for phase in self.phases if phase.name == name), None)

    @property
    def peak(self) -> Peak | None:
        """The peak the test is known by: its call's, or the highest of the other phases'."""
        call = self.phase("call")
        if call is not None:
            return call.peak()
        peaks = [peak for phase in self.phases if (peak := phase.peak())]
        return max(peaks, key=lambda peak: peak.value, default=None)

    @property
    def growth(self) -> int:
        """Resident bytes the test left behind."""
        return sum(phase.growth for phase in self.phases)

    @property
    def tightest(self) -> Budget | None:
        """The budget on resident memory of the call, or the first there is."""
        default = (b for b in self.budgets if b.key == (RSS.name, "call", None))
        return next(default, self.budgets[0] if self.budgets else None)


class Outcomes(Protocol):
    """Outcomes of tests that can be read several times: a tuple, or made as they are read."""

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
    """Where a run took place."""

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
    """Sums over the tests of one process, or of all."""

    worker: str
    """xdist's name for the process; empty for the whole run."""
    tests: int
    """Tests measured."""
    start: int
    """Resident bytes before the first of them; summed over processes for the whole run."""
    end: int
    """Resident bytes after the last of them; summed likewise."""
    highest: int
    """Highest resident bytes seen during any of them, the process itself included; summed
    likewise, though the processes need not have been there at the same time."""
    overhead: float
    """Seconds spent on measuring."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a suite, as the reports see it."""

    environment: Environment
    """Where it took place."""
    settings: tuple[tuple[str, str], ...]
    """Name and value of every setting that was made, with its source."""
    gaps: tuple[Gap, ...]
    """What could not be measured."""
    outcomes: Outcomes
    """Every measured test, by node id in a run that has just ended."""
    totals: tuple[Totals, ...]
    """One per process, then the whole run's."""
    leak_strict: bool = False
    """Whether tests fail whose leak check ends as unclear."""
