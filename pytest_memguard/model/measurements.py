"""The frozen values of peaks, limits and findings, which pass from measuring to judging."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Literal, TypeAlias

from pytest_memguard.model.metrics import RSS
from pytest_memguard.values import dataclass

if TYPE_CHECKING:  # a run without a baseline, or without a leak check, loads neither
    from pytest_memguard.model.baselines import BaselineValue
    from pytest_memguard.model.causes import Cause

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
