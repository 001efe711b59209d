"""The frozen values that pass from measuring to judging and reporting."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from pytest_memguard.metrics import RSS
from pytest_memguard.values import dataclass

if TYPE_CHECKING:  # a run without a baseline, or without a leak check, loads neither
    from collections.abc import Iterator

    from pytest_memguard.aborts import Abort
    from pytest_memguard.admission import ParallelRun
    from pytest_memguard.alerts import Alert
    from pytest_memguard.baselines import BaselineValue, Fill
    from pytest_memguard.causes import Cause
    from pytest_memguard.deaths import Death
    from pytest_memguard.flights import LostWorker
    from pytest_memguard.leaks import LeakReading
    from pytest_memguard.watch_readings import WatchReading

PhaseName = Literal["setup", "call", "teardown"]
BudgetPhase = Literal["setup", "call", "teardown", "all"]
Threads = Literal["all", "current"]
Method = Literal["kernel mark", "sampled", "memray", "memray estimate", "tracemalloc", "probe"]
Ceiling = Literal["kernel limit", "watchdog"]
"""What holds a test to a hard budget: `RLIMIT_DATA`, or a thread that samples."""
Bound = Literal["slack", "foreign", "collected", "dropped", "unseen", "uncounted"]
"""Why a measured peak may be below the true one."""
Rule = Literal[
    "over-budget",
    "hard-limit",
    "near-budget",
    "undecided",
    "not-measured",
    "stage-not-run",
    "regression",
    "known-fill",
    "new-test",
    "check-failed",
    "wrong-need",
]

BREACHES: frozenset[Rule] = frozenset({"over-budget", "hard-limit", "regression"})
"""Rules for a peak that is above its limit."""
QUIET: frozenset[Rule] = frozenset({"known-fill"})
"""Rules for what is no problem; the files that are written have them, the terminal a count."""
PHASES: tuple[PhaseName, ...] = ("setup", "call", "teardown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """A high-water mark, relative to the level at the start."""

    metric: str
    """Name of the metric."""
    value: int
    """The peak in bytes, or in the metric's unit."""
    high: int
    """Upper bound of the peak; equal to ``value`` if the peak is exact."""
    method: Method
    """The instrument that measured it."""
    bound: Bound = "slack"
    """The main reason for the difference between ``high`` and ``value``."""
    unseen: int | None = 0
    """Bytes by which the true peak may be above ``high``, if the instrument samples; ``None``
    if nothing bounds them."""
    own: int | None = None
    """The peak of what the test's own thread had allocated, in bytes; only where a budget is on
    that."""

    @property
    def exact(self) -> bool:
        """Whether the true peak cannot be higher."""
        return self.high <= self.value and self.unseen == 0

    @property
    def ceiling(self) -> float:
        """The upper bound, sampling included; infinite if nothing bounds the peak."""
        return inf if self.unseen is None else self.high + self.unseen


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A limit on one metric of a test, a phase or a stage."""

    limit: int
    """The limit in bytes, or in the metric's unit."""
    where: str
    """Who set it, for messages: "the marker", "--mem-budget"."""
    metric: str = RSS.name
    """Name of the metric."""
    phase: BudgetPhase = "call"
    """The part of the test that it covers."""
    stage: str | None = None
    """The stage that it covers, instead of a whole phase."""
    warn: float | None = None
    """Share of the limit above which memguard warns."""
    threads: Threads = "all"
    """Whose allocations count (heap only)."""
    baseline_value: BaselineValue | None = None
    """What the limit was made from, if it is one of the regression check."""
    hard: bool = False
    """Whether the test is stopped where it would use more."""

    @property
    def key(self) -> tuple[str, str, str | None]:
        """What the closest marker overrides; a stage is the same in every phase."""
        return (self.metric, self.phase if self.stage is None else "", self.stage)

    @property
    def before(self) -> int | None:
        """The baseline value in bytes, if the limit is one of the regression check."""
        return None if self.baseline_value is None else self.baseline_value.before

    def covers(self, phase: PhaseName) -> bool:
        """Return whether what happens in a phase counts against the limit."""
        return self.stage is not None or self.phase in (phase, "all")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSite:
    """A source line, and what it had allocated."""

    file: str
    """Path as the interpreter knows it."""
    line: int
    """Line number, from 1."""
    function: str
    """The function of the line."""
    size: int
    """Bytes held at the high-water mark."""
    count: int
    """Blocks held at the high-water mark."""
    kept: int | None = None
    """How many of these bytes were still held at the end; ``None`` if that was not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageReading:
    """A named part of a test; several runs of it are added up."""

    path: str
    """Its name after the names of its parents: "load/parse"."""
    count: int
    """How often it ran."""
    delta: int
    """Bytes of resident memory that it added, in all its runs."""
    cumul: int
    """Bytes added from the start of the phase to the end of its last run."""
    seconds: float
    """Duration of all its runs."""
    peaks: tuple[Peak, ...]
    """The highest peak of its runs, one for each metric."""
    lines: tuple[CallSite, ...] = ()
    """The lines that grew most during the stage (``--mem-drill``)."""

    def peak(self, metric: str = RSS.name) -> Peak | None:
        """Return the peak in one metric; ``None`` if it was not measured."""
        for peak in self.peaks:
            if peak.metric == metric:
                return peak
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseReading:
    """The measurement of one phase of a test."""

    name: PhaseName
    """Setup, call or teardown."""
    seconds: float
    """Its duration."""
    level: int
    """Resident bytes at its start."""
    growth: int
    """Resident bytes at its end, less ``level``."""
    peaks: tuple[Peak, ...]
    """One for each metric that was measured, resident memory first."""

    def peak(self, metric: str = RSS.name) -> Peak | None:
        """Return the peak in one metric; ``None`` if it was not measured."""
        for peak in self.peaks:
            if peak.metric == metric:
                return peak
        return None


MarkedPhaseNumbers: TypeAlias = tuple[PhaseName, float, int, int, int, int]
"""What the high-water mark has shown of a phase: its name and seconds; the level at its start,
the growth, the peak above that level, and an upper bound of the peak, in bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Where a hard budget stopped a test."""

    by: Ceiling
    """What stopped it."""
    used: int
    """Bytes that the test had then: reserved ones for the kernel's limit, or resident ones."""
    caught: bool = False
    """Whether the test caught the `MemoryError`."""
    file: str = ""
    """Path of the line that got the `MemoryError`; empty if it is not known."""
    line: int = 0
    """Number of that line, from 1; 0 if it is not known."""
    function: str = ""
    """The function of the line."""
    test_line: int = 0
    """Line of the test's own file that led there; 0 if it is that line itself or not known."""
    stage: str | None = None
    """The innermost stage that was open."""
    thread: str = ""
    """The thread; empty for the test's own."""
    words: str = ""
    """The message of the error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of judging one limit; failures and warnings are made from it."""

    rule: Rule
    """Slug of the rule."""
    budget: Budget
    """The limit."""
    peak: Peak | None = None
    """The peak, if it was measured."""
    text: str = ""
    """The sentence, without the slug."""
    sites: tuple[CallSite, ...] = ()
    """The largest allocation sites, if they are known."""
    advice: str = ""
    """How the sites were found, or how to get them."""
    raised: bool = False
    """Whether the test failed with it."""
    check: str = ""
    """Name of another plugin's check; empty for our own rules."""
    stop: Stop | None = None
    """Where the test was stopped, if the limit is a hard one and stopped it."""
    cause: Cause | None = None
    """What is known of the reason, if the limit is one of the regression check."""

    @property
    def slug(self) -> str:
        """The slug after its sentence: the rule, or the name of another plugin's check."""
        return self.check if self.rule == "check-failed" else self.rule


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
